/**
 * One lane per upstream: at most `width` calls at once, and when the upstream stops answering the
 * lane closes for a while, so that one dead upstream cannot keep everyone else waiting.
 */
export class Lane {
  readonly #width: number
  readonly #now: () => number
  #running = 0
  #failures = 0
  #closedUntil = 0
  readonly #waiting: (() => void)[] = []

  constructor(width: number, now: () => number) {
    this.#width = width
    this.#now = now
  }

  /** Milliseconds since the epoch until which calls are not worth trying; 0 when the lane is open. */
  closedUntil(): number {
    return this.#closedUntil > this.#now() ? this.#closedUntil : 0
  }

  /** Calls running and waiting. */
  load(): number {
    return this.#running + this.#waiting.length
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) await new Promise<void>((go) => this.#waiting.push(go))
    else this.#running++
    try {
      return await call()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** Tells the lane how a call went: three unanswered ones in a row close it, 1 s doubling to 30 s. */
  report(answered: boolean): void {
    if (answered) {
      this.#failures = 0
      this.#closedUntil = 0
      return
    }
    this.#failures++
    if (this.#failures < 3) return
    this.#closedUntil = this.#now() + Math.min(30_000, 1000 * 2 ** Math.min(this.#failures - 3, 5))
  }
}
