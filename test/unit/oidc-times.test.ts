import { describe, expect, it } from 'vitest'
import { TokenRefused } from '../../src/identity/oidc/refused.ts'
import { AGE_LIMITS, checkTimes } from '../../src/identity/oidc/times.ts'
import type { JsonObject } from '../../src/lib/json.ts'

/** Seconds, as in the claims. */
const NOW = 1_795_000_000

function judged(claims: JsonObject, atMs = NOW * 1000): string | number {
  try {
    return checkTimes(claims, atMs, AGE_LIMITS)
  } catch (error) {
    return error instanceof TokenRefused ? error.reason : 'another error'
  }
}

describe('the times of a token', () => {
  it.each([
    ['expired for exactly the leeway', { iat: NOW - 100, exp: NOW - 30 }, 'expired'],
    [
      'not valid for a second more than the leeway',
      { iat: NOW, exp: NOW + 99, nbf: NOW + 31 },
      'not_yet_valid',
    ],
    [
      'issued a second further ahead than the leeway',
      { iat: NOW + 31, exp: NOW + 99 },
      'issued_in_future',
    ],
    ['of a life a second too long', { iat: NOW, exp: NOW + 86_401 }, 'life_too_long'],
    ['issued ten minutes and the leeway ago', { iat: NOW - 630, exp: NOW + 99 }, 'too_old'],
    ['without an end', { iat: NOW }, 'claim_missing'],
    ['without a beginning', { exp: NOW + 99 }, 'claim_missing'],
    ['with nothing for not before', { iat: NOW, exp: NOW + 99, nbf: null }, 'claim_mistyped'],
  ])('%s are refused', (_, claims, reason) => {
    expect(judged(claims)).toBe(reason)
  })

  it.each([
    ['expired for less than the leeway', { iat: NOW - 100, exp: NOW - 29 }],
    ['not valid for the leeway', { iat: NOW, exp: NOW + 99, nbf: NOW + 30 }],
    ['issued as far ahead as the leeway', { iat: NOW + 30, exp: NOW + 99 }],
    ['of the longest life', { iat: NOW, exp: NOW + 86_400 }],
    ['issued as long ago as is taken', { iat: NOW - 629, exp: NOW + 99 }],
    [
      'with a not before of long ago, as GitHub gives',
      { iat: NOW, exp: NOW + 300, nbf: NOW - 600 },
    ],
  ])('%s are taken, and say when the token ends', (_, claims) => {
    expect(judged(claims)).toBe(claims.exp * 1000)
  })
})
