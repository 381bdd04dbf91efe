import { BrokerError } from '../../../errors.ts'

const WINDOW_MS = 60_000
const MOST = 10
const MOST_KEYS = 256

/**
 * A cached answer that lacks an id is read again, because the id may be new. Whoever invents ids could
 * use up the account's rate limit that way: this many a minute, and no more.
 */
export class Misses {
  readonly #times = new Map<string, readonly number[]>()

  /** Throws `provider_unavailable` when there were too many. */
  spend(key: string, connection: string, now: number): void {
    const recent = (this.#times.get(key) ?? []).filter((at) => at <= now && now - at < WINDOW_MS)
    if (recent.length >= MOST) throw tooMany(connection, (recent[0] ?? now) + WINDOW_MS)
    this.#times.delete(key)
    if (this.#times.size >= MOST_KEYS) {
      this.#times.delete(this.#times.keys().next().value ?? '')
    }
    this.#times.set(key, [...recent, now])
  }
}

function tooMany(connection: string, until: number): BrokerError {
  const at = new Date(until).toISOString()
  return new BrokerError(
    'provider_unavailable',
    `too many ids were asked for that railway does not know, by "${connection}"`,
    {
      hint: `unknown ids are looked up again at ${at}; list what there is instead of guessing`,
      details: { connection, reason: 'limited', until: at },
    },
  )
}
