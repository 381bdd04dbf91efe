import { networkOf } from '../../lib/addresses.ts'

export interface Rate {
  /** At once, by someone who was quiet before. */
  readonly burst: number
  readonly perMinute: number
}

/** At most this many are told apart at a time: a stranger must not be able to fill our memory. */
const MOST = 10_000

/**
 * How often each of many may do something (a leaky bucket, kept as the one instant at which it is
 * empty again: GCRA, ITU-T I.371). `now` in milliseconds, from a clock that is never set back.
 */
export class Rates {
  readonly #everyMs: number
  readonly #burstMs: number
  readonly #now: () => number
  readonly #most: number
  /** When each is as good as new. */
  readonly #freshAt = new Map<string, number>()

  constructor({ burst, perMinute }: Rate, now: () => number, most = MOST) {
    this.#everyMs = 60_000 / perMinute
    this.#burstMs = this.#everyMs * burst
    this.#now = now
    this.#most = most
  }

  /** How many are remembered. */
  get size(): number {
    return this.#freshAt.size
  }

  /** 0 when once more is within the rate; else how many milliseconds to wait. Counts nothing. */
  wait(key: string): number {
    const now = this.#now()
    const next = Math.max(this.#freshAt.get(key) ?? 0, now) + this.#everyMs
    // Sums of fractions: what is over by less than a microsecond is within.
    return Math.max(0, Math.ceil(next - now - this.#burstMs - 0.001))
  }

  /** Counts once. */
  charge(key: string): void {
    const now = this.#now()
    const freshAt = Math.max(this.#freshAt.get(key) ?? 0, now) + this.#everyMs
    this.#freshAt.delete(key)
    if (this.#freshAt.size >= this.#most) this.#makeRoom(now)
    // Never further ahead than a full bucket: who goes on asking does not wait for ever.
    this.#freshAt.set(key, Math.min(freshAt, now + this.#burstMs + this.#everyMs))
  }

  /** `wait`, and `charge` when it is 0. */
  take(key: string): number {
    const wait = this.wait(key)
    if (wait === 0) this.charge(key)
    return wait
  }

  /** Those that are as good as new go first, then the ones not heard of for longest. */
  #makeRoom(now: number): void {
    for (const [key, freshAt] of this.#freshAt) if (freshAt <= now) this.#freshAt.delete(key)
    for (const key of this.#freshAt.keys()) {
      if (this.#freshAt.size < this.#most) return
      this.#freshAt.delete(key)
    }
  }
}

/** Who an address stands for: the network that whoever is behind it may choose addresses in. */
export function addressKey(address: string | undefined): string {
  return address === undefined ? 'unknown' : networkOf(address)
}
