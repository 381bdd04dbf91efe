import { createHash } from 'node:crypto'
import { claimOf } from '../../core/trust/claims.ts'
import type { JsonObject } from '../../lib/json.ts'
import { LEEWAY_MS } from './times.ts'

const SPARE_MS = 60_000

export interface TokenIdentity {
  /** SHA-256 in hex, safe to store and to index. */
  readonly id: string
  /** Milliseconds since the epoch until which it has to be remembered: no check takes the token after it. */
  readonly keepUntil: number
}

/**
 * What makes a verified token this one and no other, for using it once: issuer and `jti` (RFC 7519
 * §4.1.7), else issuer and the bytes that were signed. Not the signature: of ECDSA there are two valid
 * ones for the same bytes, and both would pass as new.
 */
export function tokenIdentity(
  claims: JsonObject,
  signed: string,
  expiresAt: number,
): TokenIdentity {
  const iss = claimOf(claims, 'iss') ?? null
  const jti = claimOf(claims, 'jti')
  const parts = jti === undefined ? [iss, 'signed', signed] : [iss, 'jti', jti]
  return {
    // Of text alone this is one form, also of text with half a character in it.
    id: createHash('sha256').update(JSON.stringify(parts)).digest('hex'),
    keepUntil: expiresAt + LEEWAY_MS + SPARE_MS,
  }
}
