import { isFull, storageError } from './full.ts'
import type { Journal } from './journal.ts'
import type { Batch } from './journal-batch.ts'
import type { Recorder } from './recorder.ts'
import type { OrderEnd } from './recorder-terms.ts'
import type { Reserve } from './reserve.ts'
import type { WriteAheadLog } from './wal.ts'
import type { ChainCursor } from './writer.ts'

/**
 * How long batches may wait for others to go along. Milliseconds. Only the database file is behind meanwhile,
 * and a commit costs as much as dozens of entries.
 */
const DELAY_MS = 100

/** How much of them may: half of what a half of the journal holds. Characters. */
const MOST = 512 * 1024

export interface Parts {
  readonly journal: Journal
  readonly recorder: Recorder
  readonly chain: ChainCursor
  readonly log: WriteAheadLog
  readonly reserve: Reserve
}

/**
 * Records that are durable in the journal, and the database that follows behind: a moment later, or at
 * once when somebody needs it (`caughtUp`). Whoever writes to the database otherwise calls that first and
 * appends nothing meanwhile, so there is one chain and one order.
 */
export class Journaled {
  readonly #parts: Parts
  #waiting: Batch[] = []
  #length = 0
  #timer: NodeJS.Timeout | null = null
  #following: Promise<void> | null = null

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Resolves when the text is durable. One at a time. Throws `storage_full`. */
  async append(text: string): Promise<void> {
    const { journal, log } = this.#parts
    log.refuseIfBroken()
    const write = () =>
      journal.append(text).catch((error: unknown) => Promise.reject(log.lose(error)))
    let batch = await write()
    if (batch === null) {
      await this.caughtUp()
      batch = await write()
    }
    if (batch === null) throw new RangeError('a batch is larger than the journal')
    this.#waiting.push(batch)
    this.#length += text.length
    if (this.#length >= MOST) this.#followSoon()
    else this.#timer ??= setTimeout(() => this.#followSoon(), DELAY_MS)
  }

  /** True when the database has all there is. */
  get isCaughtUp(): boolean {
    const { journal } = this.#parts
    return journal.applied === journal.appended
  }

  /**
   * Resolves when the database has, durably, all that has been appended by now. Throws `storage_full`;
   * what it could not take stays in the journal and is tried again with the next.
   */
  async caughtUp(): Promise<void> {
    const { journal } = this.#parts
    const wanted = journal.appended
    while (journal.applied < wanted) {
      this.#following ??= this.#follow()
      await this.#following
    }
  }

  async close(): Promise<void> {
    // What it fails with was told to those who had to know. The journal keeps what is not in the database.
    await this.caughtUp().catch(() => {})
    if (this.#timer) clearTimeout(this.#timer)
    await this.#parts.recorder.close()
    this.#parts.journal.close()
  }

  #followSoon(): void {
    this.caughtUp().catch(() => {})
  }

  async #follow(): Promise<void> {
    const { journal, chain } = this.#parts
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const batches = this.#waiting
    this.#waiting = []
    this.#length = 0
    try {
      const { head } = await this.#carryOut(batches, true)
      chain.head = head
      journal.apply(batches.at(-1)?.seq ?? journal.applied)
    } catch (error) {
      this.#waiting = [...batches, ...this.#waiting]
      throw error
    } finally {
      this.#following = null
    }
  }

  async #carryOut(
    batches: readonly Batch[],
    mayGiveUpReserve: boolean,
  ): Promise<OrderEnd & { readonly kind: 'applied' }> {
    const { recorder, chain, log, reserve } = this.#parts
    log.refuseIfBroken()
    const end = await recorder
      .carryOut({ head: chain.head, batches })
      .catch((error: unknown) => Promise.reject(log.lose(error)))
    if (end.kind === 'applied') return end
    if (end.kind === 'lost') throw log.lose(new Error(end.message))
    const error = Object.assign(new Error(end.message), { errcode: end.code })
    if (isFull(error) && mayGiveUpReserve && reserve.giveUp()) {
      return this.#carryOut(batches, false)
    }
    throw storageError(error)
  }
}
