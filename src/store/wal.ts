import { closeSync, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'
import { BrokerError } from '../errors.ts'

/** A checkpoint waits for the disk: rarely enough that not one request in a hundred meets it. */
export const CHECKPOINT_PAGES = 2000

/** Makes what was written to a file durable; throws when the disk cannot promise it. */
export type Sync = (file: number) => Promise<void>

const datasync: Sync = promisify(fdatasync)

/**
 * The write-ahead log of an open database, and the wait for the disk after each commit. SQLite would
 * wait in this thread, with everything else standing still; here only those wait who have to. The
 * file lives as long as a connection is open, and is the one that has to be durable before a commit
 * is (sqlite.org/wal.html, "Performance Considerations"): checkpoints sync by themselves.
 */
export class WriteAheadLog {
  readonly #file: number
  readonly #sync: Sync
  #broken: unknown

  /** Once something was written: before that there is no file. */
  constructor(database: string, sync: Sync = datasync) {
    this.#file = openSync(`${database}-wal`, 'r+')
    this.#sync = sync
  }

  /**
   * Resolves when every commit so far is on the disk. One failure is for good: what the disk holds is
   * not known any more, and asking again would be told "yes" for pages that were dropped.
   */
  async settle(): Promise<void> {
    this.refuseIfBroken()
    try {
      await this.#sync(this.#file)
    } catch (error) {
      throw this.lose(error)
    }
  }

  /** For good, as after a failed wait: what the disk holds is not known any more. */
  lose(cause: unknown): BrokerError {
    this.#broken ??= cause
    return unsafe(cause)
  }

  /** Throws what the disk failed with, if it ever did. */
  refuseIfBroken(): void {
    if (this.#broken !== undefined) throw unsafe(this.#broken)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** The disk took the pages and lost them, or may have: nothing more is recorded, or done, on its word. */
function unsafe(cause: unknown): BrokerError {
  return new BrokerError('storage_full', 'the disk did not keep what was recorded', {
    hint: 'look at the disk, then restart the broker: it goes on from what was kept',
    cause,
  })
}
