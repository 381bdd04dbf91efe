const WINDOW_MS = 3_600_000

export interface Allowance {
  readonly allowed: boolean
  /** `X-RateLimit-*`, and `Retry-After` where it was too much. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * So many requests an hour for each caller, counted from its first one. That the reset is told in Unix
 * seconds is assumed; the headers' names are Railway's.
 */
export class RateLimit {
  readonly #perHour: number
  readonly #now: () => Date
  readonly #windows = new Map<string, { used: number; readonly endsAt: number }>()

  constructor(perHour: number, now: () => Date) {
    this.#perHour = perHour
    this.#now = now
  }

  take(caller: string): Allowance {
    const now = this.#now().getTime()
    const known = this.#windows.get(caller)
    const window = known && known.endsAt > now ? known : { used: 0, endsAt: now + WINDOW_MS }
    window.used += 1
    this.#windows.set(caller, window)
    const allowed = window.used <= this.#perHour
    const headers = {
      'X-RateLimit-Limit': String(this.#perHour),
      'X-RateLimit-Remaining': String(Math.max(0, this.#perHour - window.used)),
      'X-RateLimit-Reset': String(Math.ceil(window.endsAt / 1000)),
    }
    const wait = String(Math.ceil((window.endsAt - now) / 1000))
    return { allowed, headers: allowed ? headers : { ...headers, 'Retry-After': wait } }
  }
}
