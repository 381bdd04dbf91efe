import { claimOf } from '../../core/trust/claims.ts'
import type { JsonObject } from '../../lib/json.ts'
import { TokenRefused } from './refused.ts'

/** By how much an issuer's clock may differ from ours. */
export const LEEWAY_MS = 30_000

export interface AgeLimits {
  /** From `iat` to `exp`. */
  readonly maxLifeMs: number
  /** From `iat` to now, whatever `exp` says: some issuers let a token live as long as its job may. */
  readonly maxAgeMs: number
}

export const AGE_LIMITS: AgeLimits = { maxLifeMs: 24 * 3_600_000, maxAgeMs: 10 * 60_000 }

/**
 * Throws `TokenRefused` unless the token is valid at `now` (milliseconds since the epoch), give or take
 * the leeway (RFC 7519 §4.1.4 to 4.1.6). `exp` and `iat` have to be there. Returns `exp` in milliseconds.
 */
export function checkTimes(claims: JsonObject, now: number, limits: AgeLimits): number {
  const exp = instant(claims, 'exp')
  const iat = instant(claims, 'iat')
  const nbf = claimOf(claims, 'nbf') === undefined ? null : instant(claims, 'nbf')
  const refuse = (reason: ConstructorParameters<typeof TokenRefused>[0], message: string) => {
    throw new TokenRefused(reason, message)
  }
  if (exp + LEEWAY_MS <= now) refuse('expired', 'the token has expired')
  if (nbf !== null && nbf - LEEWAY_MS > now) refuse('not_yet_valid', 'the token is not valid yet')
  if (iat - LEEWAY_MS > now) refuse('issued_in_future', 'the token was issued in the future')
  if (exp <= iat || (nbf !== null && exp <= nbf)) {
    refuse('times_contradict', 'the token ends before it begins')
  }
  if (exp - iat > limits.maxLifeMs) refuse('life_too_long', 'the token lives too long')
  if (iat + limits.maxAgeMs + LEEWAY_MS <= now) {
    refuse('too_old', 'the token was issued too long ago: fetch a new one')
  }
  return exp
}

/** Whole seconds, as all these issuers write them; anything else is not guessed at. */
function instant(claims: JsonObject, name: 'exp' | 'iat' | 'nbf'): number {
  const value = claimOf(claims, name)
  if (value === undefined) throw new TokenRefused('claim_missing', `the claim "${name}" is missing`)
  const ms = typeof value === 'number' ? value * 1000 : Number.NaN
  if (Number.isSafeInteger(value) && Number.isSafeInteger(ms) && ms >= 0) return ms
  throw new TokenRefused('claim_mistyped', `the claim "${name}" is not a whole number of seconds`)
}
