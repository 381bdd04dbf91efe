import { constantTimeEqual } from '../lib/equal.ts'
import { type ChainKeys, entryHash, entryMac, GENESIS, isSignedByUs } from './chain.ts'
import type { Entry, Head, SignedHead } from './entry.ts'

export type Problem = 'edited' | 'removed' | 'inserted' | 'cut' | 'head'

export interface Verdict {
  readonly ok: boolean
  readonly entries: number
  readonly head: Head | null
  /** The first bad entry. */
  readonly bad: { readonly seq: number; readonly problem: Problem; readonly message: string } | null
}

/** What the entries are held against: the head of the database, and the checkpoint file if there is one. */
export interface Anchors {
  readonly head: SignedHead | null
  readonly checkpoint: SignedHead | null
}

/**
 * Walks the whole chain in order and names the first entry that was edited, removed, inserted or
 * cut off the end. Reads entries in batches, so its memory does not grow with the log.
 */
export async function verifyChain(
  keys: ChainKeys,
  batches: AsyncIterable<readonly Entry[]>,
  anchors: Anchors,
): Promise<Verdict> {
  const walk = new Walk(keys, anchors)
  for await (const batch of batches) {
    for (const entry of batch) {
      walk.take(entry)
      if (walk.bad) return walk.verdict()
    }
  }
  walk.end()
  return walk.verdict()
}

class Walk {
  readonly #keys: ChainKeys
  readonly #anchors: Anchors
  #last: Head = GENESIS
  #count = 0
  /** An entry that does not fit, until the next one tells whether it was edited or inserted. */
  #suspect: Entry | null = null
  bad: Verdict['bad'] = null

  constructor(keys: ChainKeys, anchors: Anchors) {
    this.#keys = keys
    this.#anchors = anchors
  }

  take(entry: Entry): void {
    this.#count++
    if (this.#suspect) {
      this.#judgeSuspect(entry)
      return
    }
    if (entry.seq !== this.#last.seq + 1) {
      const missing = this.#last.seq + 1
      this.#fail(missing, 'removed', `entry ${missing} is missing`)
      return
    }
    if (!this.#fits(this.#last, entry)) {
      this.#suspect = entry
      return
    }
    this.#last = { seq: entry.seq, hash: entry.hash }
    this.#compareCheckpoint()
  }

  end(): void {
    if (this.#suspect) this.#judgeSuspect(null)
    if (this.bad) return
    const { head, checkpoint } = this.#anchors
    if (!head) {
      if (this.#count > 0 || checkpoint)
        this.#fail(this.#last.seq, 'head', 'the signed head is missing')
      return
    }
    if (!isSignedByUs(this.#keys, head)) {
      this.#fail(head.seq, 'head', 'the head is not signed by this broker')
    } else if (this.#last.seq < head.seq) {
      const first = this.#last.seq + 1
      this.#fail(first, 'cut', `entries ${first} to ${head.seq} were cut off the end`)
    } else if (this.#last.seq > head.seq) {
      this.#fail(head.seq + 1, 'inserted', `entry ${head.seq + 1} stands behind the signed head`)
    } else if (this.#last.hash !== head.hash) {
      this.#fail(head.seq, 'edited', `entry ${head.seq} is not the one that was signed`)
    } else this.#comparePastCheckpoint(head)
  }

  #comparePastCheckpoint(head: Head): void {
    const { checkpoint } = this.#anchors
    if (!checkpoint) return
    if (!isSignedByUs(this.#keys, checkpoint)) {
      this.#fail(checkpoint.seq, 'head', 'the checkpoint file is not signed by this broker')
    } else if (checkpoint.seq > head.seq) {
      const first = head.seq + 1
      this.#fail(
        first,
        'cut',
        `the database is older than its checkpoint: entries ${first} to ${checkpoint.seq} are gone`,
      )
    }
  }

  #compareCheckpoint(): void {
    const { checkpoint } = this.#anchors
    if (checkpoint?.seq !== this.#last.seq || !isSignedByUs(this.#keys, checkpoint)) return
    if (checkpoint.hash !== this.#last.hash) {
      this.#fail(
        this.#last.seq,
        'edited',
        `entry ${this.#last.seq} is not the one in the checkpoint`,
      )
    }
  }

  /** A stranger between two entries that fit each other was inserted; otherwise it was edited. */
  #judgeSuspect(next: Entry | null): void {
    const suspect = this.#suspect
    if (!suspect) return
    const head = this.#anchors.head
    const beyondHead = next === null && head !== null && suspect.seq > head.seq
    const inserted = beyondHead || (next !== null && this.#fits(this.#last, next))
    this.#fail(
      suspect.seq,
      inserted ? 'inserted' : 'edited',
      `entry ${suspect.seq} was ${inserted ? 'inserted' : 'edited'}`,
    )
  }

  #fits(previous: Head, entry: Entry): boolean {
    const hash = entryHash(previous.hash, entry)
    return hash === entry.hash && constantTimeEqual(entryMac(this.#keys, hash), entry.mac)
  }

  #fail(seq: number, problem: Problem, message: string): void {
    this.bad ??= { seq, problem, message }
  }

  verdict(): Verdict {
    return {
      ok: this.bad === null,
      entries: this.#count,
      head: this.#count > 0 ? this.#last : null,
      bad: this.bad,
    }
  }
}
