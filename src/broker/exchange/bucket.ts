/** Lets through `size` at once, and then so many a second (a token bucket). Times in milliseconds. */
export class Bucket {
  readonly #size: number
  readonly #perSecond: number
  #level: number
  #at: number

  constructor(size: number, perSecond: number, now: number) {
    this.#size = size
    this.#perSecond = perSecond
    this.#level = size
    this.#at = now
  }

  take(now: number): boolean {
    this.#fill(now)
    if (this.#level < 1) return false
    this.#level -= 1
    return true
  }

  isFull(now: number): boolean {
    this.#fill(now)
    return this.#level >= this.#size
  }

  /** A clock that was set back adds nothing. */
  #fill(now: number): void {
    const passed = Math.max(0, now - this.#at)
    this.#level = Math.min(this.#size, this.#level + (passed / 1000) * this.#perSecond)
    this.#at = now
  }
}
