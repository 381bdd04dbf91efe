import { writeSync } from 'node:fs'
import type { Log } from '../../broker/context.ts'
import { createLog } from '../log.ts'
import { createJsonLog } from './json-log.ts'

/** What waits at most for a reader that is slow. Bytes. */
const MOST = 4 * 1024 * 1024
const AGAIN_MS = 20

/** The log of a server, to standard error. `close` writes what is left. */
export function createServeLog(format: 'json' | 'text'): { log: Log; close: () => void } {
  const lines = new Lines((bytes) => writeSync(2, bytes))
  const create = format === 'json' ? createJsonLog : createLog
  return { log: create((line) => lines.add(line), Date.now), close: () => lines.close() }
}

/**
 * Lines on their way out: those of one turn in one write, because there may be thousands a second. Who
 * does not read them must not stop the server: beyond a bound they are dropped and counted.
 */
export class Lines {
  readonly #write: (bytes: Buffer) => number
  #waiting: string[] = []
  #size = 0
  #dropped = 0
  #rest: Buffer = Buffer.alloc(0)
  #scheduled = false

  /** `write` returns how many bytes it took; a throw of `EAGAIN` means none right now. */
  constructor(write: (bytes: Buffer) => number) {
    this.#write = write
  }

  add(line: string): void {
    if (this.#size + this.#rest.length > MOST) {
      this.#dropped++
      return
    }
    this.#waiting.push(line)
    this.#size += line.length
    this.#schedule(() => setImmediate(() => this.#flush()))
  }

  close(): void {
    this.#flush()
  }

  #schedule(start: () => unknown): void {
    if (this.#scheduled) return
    this.#scheduled = true
    start()
  }

  #flush(): void {
    this.#scheduled = false
    const lost = this.#dropped > 0 ? `${JSON.stringify({ droppedLines: this.#dropped })}\n` : ''
    this.#dropped = 0
    let bytes = Buffer.concat([this.#rest, Buffer.from(this.#waiting.join('') + lost)])
    this.#waiting = []
    this.#size = 0
    try {
      while (bytes.length > 0) bytes = bytes.subarray(this.#write(bytes))
    } catch (error) {
      // Nobody is there any more: what would be said is lost, as everything after it.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') bytes = Buffer.alloc(0)
    }
    this.#rest = bytes
    if (bytes.length > 0) this.#schedule(() => setTimeout(() => this.#flush(), AGAIN_MS).unref())
  }
}
