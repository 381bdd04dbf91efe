import type { JSONWebKeySet } from 'jose'
import type { JsonObject } from '../lib/json.ts'
import { verifyToken } from './verify.ts'

/** What an access token of ours says (RFC 9068 §2.2; `env` and `lease` are our own). */
export type AccessTokenClaims = {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly client_id: string
  /** Operations, joined by a space. */
  readonly scope: string
  /** Seconds since the epoch, as in every JWT. */
  readonly iat: number
  readonly exp: number
  /** One per grant; it ends with the lease. */
  readonly jti: string
  readonly env: string
  readonly lease: string
}

const TEXTS = ['iss', 'sub', 'aud', 'client_id', 'scope', 'jti', 'env', 'lease'] as const

export interface ReadOptions {
  readonly jwks: JSONWebKeySet
  /** Our own name, or all of them. */
  readonly issuer: string | readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * The claims of an access token we issued and that has not expired; null for anything else. Whether
 * its lease is still alive is not in the token: look that up by `lease` before calling it active.
 */
export async function readAccessToken(
  token: string,
  options: ReadOptions,
): Promise<AccessTokenClaims | null> {
  const claims = await verifyToken(token, { ...options, typ: 'at+jwt' })
  return claims && isAccessToken(claims) ? claims : null
}

function isAccessToken(claims: JsonObject): claims is JsonObject & AccessTokenClaims {
  return (
    TEXTS.every((name) => typeof claims[name] === 'string' && claims[name] !== '') &&
    Number.isSafeInteger(claims['iat']) &&
    Number.isSafeInteger(claims['exp'])
  )
}
