import type { ChainKeys } from '../audit/chain.ts'
import type { Head } from '../audit/entry.ts'
import type { Batch } from './journal-batch.ts'

/** What passes between the store and its recorder's thread. */

export interface RecorderStart {
  readonly path: string
  readonly keys: ChainKeys
}

/** Batches to be linked behind `head`. One order at a time. */
export interface Order {
  readonly head: Head
  readonly batches: readonly Batch[]
}

export type OrderEnd =
  /** Committed, and on the disk. */
  | { readonly kind: 'applied'; readonly head: Head }
  /** Nothing is committed. SQLite's extended code, where it was SQLite's. */
  | { readonly kind: 'failed'; readonly code: number | null; readonly message: string }
  /** Committed, and the disk did not keep it, or may not have. */
  | { readonly kind: 'lost'; readonly message: string }

export type FromThread = 'ready' | OrderEnd
