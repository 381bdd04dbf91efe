import type { IncomingHttpHeaders } from 'node:http'
import { limited } from './failure.ts'

/** Where the API does not say how long. */
const UNKNOWN_MS = 60_000
/** Its longest window is an hour; whatever else it says, it is asked again after that. */
const LONGEST_MS = 3_600_000
const MOST = 256

/** Remembers which tokens have used up their limit, so that nobody asks in vain. */
export class RateLimits {
  readonly #until = new Map<string, number>()

  /** Throws `provider_unavailable` while the limit is used up. Times in milliseconds. */
  check(key: string, connection: string, now: number): void {
    const until = this.#until.get(key) ?? 0
    if (until > now + LONGEST_MS || until <= now) this.#until.delete(key)
    else throw limited(connection, until)
  }

  /** Learns from an answer: 429 with `Retry-After`, or a last call with `X-RateLimit-Remaining: 0`. */
  learn(key: string, status: number, headers: IncomingHttpHeaders, now: number): number | null {
    const exhausted = status === 429 || text(headers['x-ratelimit-remaining']) === '0'
    this.#until.delete(key)
    if (!exhausted) return null
    const until = Math.min(now + LONGEST_MS, waitUntil(headers, now) ?? now + UNKNOWN_MS)
    if (this.#until.size >= MOST) this.#until.delete(this.#until.keys().next().value ?? '')
    this.#until.set(key, until)
    return until
  }
}

function waitUntil(headers: IncomingHttpHeaders, now: number): number | null {
  return (
    instant(text(headers['retry-after']), now) ?? instant(text(headers['x-ratelimit-reset']), now)
  )
}

/** Seconds to wait, seconds or milliseconds since the epoch, or a date (RFC 9110 §10.2.3). */
function instant(value: string, now: number): number | null {
  if (value === '') return null
  const number = Number(value)
  const at = Number.isFinite(number) ? fromNumber(number, now) : Date.parse(value)
  return Number.isFinite(at) && at > now ? at : null
}

function fromNumber(value: number, now: number): number {
  if (value > 1e11) return value
  return value > 1e8 ? value * 1000 : now + value * 1000
}

function text(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value.trim() : ''
}
