import type { KeyObject } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  write,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { type Batch, frame, unframe } from './journal-batch.ts'

/** Bytes. Written in turns: one half is free again when the database has all of it. */
const HALF = 1024 * 1024

/** Writes at an offset and resolves when it is durable. For tests, where a disk is to fail. */
export type Append = (file: number, bytes: Buffer, at: number) => Promise<void>

// Of files, O_DSYNC is a write and an `fdatasync` in one call (open(2)). Elsewhere it promises less than
// `fdatasync` does, or does not exist.
const writesThrough = process.platform === 'linux'

/**
 * What was recorded and is not yet in the database: a file of fixed size, whose blocks are there already,
 * so that a batch is durable after one short write. The database follows behind (`journaled.ts`), and
 * after a crash it catches up from here (`left`).
 */
export class Journal {
  readonly #file: number
  readonly #key: KeyObject
  readonly #append: Append
  #seq: number
  #at = 0
  #half = 0
  /** The last batch in each half. */
  readonly #last: [number, number]
  #applied: number

  /** A new one, in place of whatever is there; `applied`: the last batch that the database has. */
  static async create(
    path: string,
    key: KeyObject,
    applied: number,
    append: Append = appendDurably,
  ): Promise<Journal> {
    const file = await open(path, 'w', 0o600)
    try {
      await file.writeFile(Buffer.alloc(2 * HALF))
      await file.sync()
    } catch (error) {
      await file.truncate() // half of it would be of no use, and the room is
      throw error
    } finally {
      await file.close()
    }
    return new Journal(path, key, applied, append)
  }

  private constructor(path: string, key: KeyObject, applied: number, append: Append) {
    this.#file = openSync(path, writesThrough ? constants.O_RDWR | constants.O_DSYNC : 'r+')
    this.#key = key
    this.#append = append
    this.#seq = applied
    this.#applied = applied
    this.#last = [applied, applied]
  }

  /** The last batch that is durable here. */
  get appended(): number {
    return this.#seq
  }

  /** The last one that the database has, durably. */
  get applied(): number {
    return this.#applied
  }

  /**
   * Resolves with the batch when it is durable, or with null when there is no room before the database
   * has more of what is here. One at a time. Rejects with what the disk failed with: nobody knows then
   * what is in the file.
   */
  async append(text: string): Promise<Batch | null> {
    const batch = { seq: this.#seq + 1, text }
    const bytes = frame(this.#key, batch)
    const at = this.#place(bytes.length)
    if (at === null) return null
    await this.#append(this.#file, bytes, at)
    this.#at = at + bytes.length
    this.#seq = batch.seq
    this.#last[this.#half] = batch.seq
    return batch
  }

  /** The database has everything up to this batch, durably. */
  apply(seq: number): void {
    this.#applied = seq
  }

  /** What the database has all of is emptied: the next start has nothing to read. */
  close(): void {
    try {
      if (this.#applied === this.#seq) ftruncateSync(this.#file)
    } catch {
      // Then the next start reads it, finds nothing that is missing, and empties it.
    }
    closeSync(this.#file)
  }

  #place(length: number): number | null {
    if (length > HALF) return null
    if (this.#at + length <= (this.#half + 1) * HALF) return this.#at
    const other = 1 - this.#half
    if ((this.#last[other] ?? 0) > this.#applied) return null
    this.#half = other
    return other * HALF
  }
}

/**
 * The batches that a run left behind which did not come to its end, oldest first: those behind `applied`
 * that follow on each other. A last one that is not whole was never told to anybody as durable.
 */
export function left(path: string, key: KeyObject, applied: number): readonly Batch[] {
  const bytes = bytesOf(path)
  const found = new Map<number, Batch>()
  for (const from of [0, HALF]) {
    for (let at = from; at < bytes.length; ) {
      const next = unframe(key, bytes, at)
      if (!next) break
      found.set(next.batch.seq, next.batch)
      at = next.end
    }
  }
  const batches: Batch[] = []
  for (let seq = applied + 1; ; seq++) {
    const batch = found.get(seq)
    if (!batch) return batches
    batches.push(batch)
  }
}

/** Once the database has it all: what is left of old batches must never be taken for new ones. */
export function empty(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.size) truncateSync(path)
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}

function appendDurably(file: number, bytes: Buffer, at: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(file, bytes, 0, bytes.length, at, (error, written) => {
      if (error) reject(error)
      else if (written !== bytes.length) reject(new Error('the disk took only a part'))
      else if (writesThrough) resolve()
      else fdatasync(file, (failed) => (failed ? reject(failed) : resolve()))
    })
  })
}
