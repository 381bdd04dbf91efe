import { readFileSync } from 'node:fs'
import { writeFileAtomic } from '../lib/atomic-write.ts'
import type { Secret } from '../lib/secret.ts'
import { decryptWith, encryptTo } from './age.ts'
import { type Entries, readEntries, writeEntries } from './entries.ts'
import { onDisk, unusable } from './failure.ts'
import { isThere } from './presence.ts'

/** The entries on disk, read and written whole. Keeps nothing in memory. */
export class SealedFile {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  exists(): boolean {
    return isThere(this.path)
  }

  /** Null: whole, and made for another key. Throws `vault_unavailable` for anything else amiss. */
  async read(identity: Secret): Promise<Entries | null> {
    const sealed = this.#bytes()
    let plain: string | null
    try {
      plain = await decryptWith(identity, sealed)
    } catch (error) {
      throw this.#damaged(error)
    }
    if (plain === null) return null
    const entries = readEntries(plain)
    if (!entries) throw this.#damaged()
    return entries
  }

  /** Durable when it returns; when it throws, the old file is untouched. */
  async write(identity: Secret, entries: Entries): Promise<void> {
    const sealed = await encryptTo(identity, writeEntries(entries))
    try {
      writeFileAtomic(this.path, sealed)
    } catch (error) {
      throw onDisk(this.path, error)
    }
  }

  #bytes(): Uint8Array {
    try {
      return readFileSync(this.path)
    } catch (error) {
      throw onDisk(this.path, error)
    }
  }

  #damaged(cause?: unknown) {
    return unusable(
      this.path,
      'is damaged or cut off',
      'restore it from a backup; removing it and vault.json starts an empty vault',
      cause,
    )
  }
}
