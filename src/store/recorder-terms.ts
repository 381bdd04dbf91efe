import type { ChainKeys } from '../audit/chain.ts'
import type { Head } from '../audit/entry.ts'
import type { RequestRecord } from './records.ts'

/** What passes between the store and its recorder's thread. */

export interface RecorderStart {
  readonly path: string
  readonly keys: ChainKeys
}

/**
 * Calls to `Store.record` that share one commit. Behind `head`, or, while an earlier batch is under way,
 * behind whatever that leaves. `at` in milliseconds since the epoch.
 */
export interface Batch {
  readonly head: Head | null
  readonly at: number
  readonly calls: readonly (readonly RequestRecord[])[]
}

/** What became of one call; an error is told by its words, and left nothing behind. */
export type Recorded = 'written' | 'inactive' | { readonly error: string }

export type BatchEnd =
  | { readonly kind: 'committed'; readonly head: Head; readonly recorded: readonly Recorded[] }
  /** Nothing is committed. SQLite's extended code, where it was SQLite's. */
  | { readonly kind: 'failed'; readonly code: number | null; readonly message: string }
  /** Committed, and the disk did not keep it, or may not have. */
  | { readonly kind: 'lost'; readonly message: string }

/** One end for each batch, in the order in which they were sent. */
export type FromThread = 'ready' | readonly BatchEnd[]
