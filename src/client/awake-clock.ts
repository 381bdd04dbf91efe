import { monotonic } from './monotonic.ts'

const TICK_MS = 500

/**
 * Counts the milliseconds in which this process itself was running. Stopped by Ctrl-Z or asleep with
 * the machine, we hear nothing either; that silence is ours and must not be taken for the daemon's.
 */
export class AwakeClock {
  readonly #now: () => number
  readonly #onTick: () => void
  #timer: NodeJS.Timeout | undefined
  #last: number
  #awake = 0

  /** `now` is monotonic; `onTick` is called about twice a second. */
  constructor(onTick: () => void, now: () => number = monotonic) {
    this.#now = now
    this.#onTick = onTick
    this.#last = now()
  }

  start(): void {
    this.#last = this.#now()
    this.#timer = setInterval(() => this.tick(), TICK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Awake milliseconds so far, as of the last tick. */
  elapsed(): number {
    return this.#awake
  }

  /** A tick that is late by more than a tick shows that we stood still: the gap does not count. */
  tick(): void {
    const now = this.#now()
    this.#awake += Math.min(now - this.#last, 2 * TICK_MS)
    this.#last = now
    this.#onTick()
  }
}
