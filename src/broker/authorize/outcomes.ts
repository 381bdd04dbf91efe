import type { NewEntry } from '../../audit/entry.ts'
import type { Context } from '../context.ts'
import { recordSparing } from './spare.ts'

const DELAY_MS = 50
const MOST = 500

/**
 * Outcomes are written together, a moment later: nothing waits for them, and the decision they
 * belong to is durable already. A crash in between loses the outcome, never the decision.
 */
export class Outcomes {
  readonly #context: Context
  #waiting: NewEntry[] = []
  #timer: NodeJS.Timeout | null = null
  #written: Promise<void> = Promise.resolve()

  constructor(context: Context) {
    this.#context = context
  }

  add(entry: NewEntry): void {
    this.#waiting.push(entry)
    if (this.#waiting.length >= MOST) void this.flush()
    else this.#timer ??= setTimeout(() => void this.flush(), DELAY_MS)
  }

  /**
   * Writes what waits; resolves when that, and all before it, is durable. Never throws: what cannot
   * be recorded is told in the log.
   */
  flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const entries = this.#waiting
    this.#waiting = []
    if (entries.length === 0) return this.#written
    // Writes become durable in their order: whoever waits for the last has waited for all.
    this.#written = recordSparing(
      this.#context,
      entries.map((entry) => ({ entry })),
    ).then(
      () => {},
      (error: unknown) =>
        this.#context.log.error(`${entries.length} outcomes could not be recorded`, error),
    )
    return this.#written
  }
}
