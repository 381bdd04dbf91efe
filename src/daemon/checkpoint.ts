import { readFileSync } from 'node:fs'
import type { SignedHead } from '../audit/entry.ts'
import { writeFileAtomic } from '../lib/atomic-write.ts'

/**
 * The signed head once more, in a file of its own: a database put back from an older copy agrees
 * with itself, but not with this.
 */
export class CheckpointFile {
  readonly #path: string
  #written = 0

  constructor(path: string) {
    this.#path = path
  }

  /** Writes the head if it has moved on. Failing is harmless: the head in the database is the exact one. */
  save(head: SignedHead | undefined): void {
    if (!head || head.seq <= this.#written) return
    try {
      writeFileAtomic(this.#path, `${JSON.stringify(head)}\n`)
      this.#written = head.seq
    } catch {
      // a full disk: the next tick tries again
    }
  }

  /** Null when there is none. One that cannot be read counts as unsigned, so verification tells. */
  load(): SignedHead | null {
    let text: string
    try {
      text = readFileSync(this.#path, 'utf8')
    } catch {
      return null
    }
    try {
      const { seq, hash, at, signature } = JSON.parse(text) as SignedHead
      return { seq: Number(seq), hash: String(hash), at: String(at), signature: String(signature) }
    } catch {
      return { seq: 0, hash: '', at: '', signature: '' }
    }
  }
}
