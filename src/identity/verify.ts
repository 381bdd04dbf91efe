import type { JSONWebKeySet } from 'jose'
import type { JsonObject } from '../lib/json.ts'

export interface VerifyOptions {
  /** The media type the header must name, without `application/`. */
  readonly typ: string
  readonly jwks: JSONWebKeySet
  /** Our own name, or all of them. */
  readonly issuer: string | readonly string[]
  /** Milliseconds since the epoch. No leeway: we made the token, so it is our own clock. */
  readonly now: number
}

/** Ours are under 2 KB. Nothing longer is worth parsing. */
const MAX_TOKEN = 16_384

/**
 * The claims of a JWT we signed, or null. EdDSA alone, by a key the header names and the set holds
 * (RFC 8725 §3.1: the algorithm is ours to say, not the token's). Every reason for null looks alike,
 * so that a caller cannot tell a stranger why.
 */
export async function verifyToken(
  token: string,
  options: VerifyOptions,
): Promise<JsonObject | null> {
  if (token.length > MAX_TOKEN) return null
  const { createLocalJWKSet, decodeProtectedHeader, jwtVerify } = await import('jose')
  try {
    // Without a kid the set would pick any key that fits.
    if (typeof decodeProtectedHeader(token).kid !== 'string') return null
    const { payload } = await jwtVerify(token, createLocalJWKSet(options.jwks), {
      algorithms: ['EdDSA'],
      typ: options.typ,
      issuer: [options.issuer].flat(),
      currentDate: new Date(options.now),
      requiredClaims: ['exp'], // a missing `iss` fails the comparison above
    })
    return payload as JsonObject
  } catch {
    return null
  }
}
