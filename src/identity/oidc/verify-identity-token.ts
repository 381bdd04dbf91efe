import type { CryptoKey } from 'jose'
import { claimOf } from '../../core/trust/claims.ts'
import type { TrustedIssuers } from '../../core/trust/trusted.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Secret } from '../../lib/secret.ts'
import { type Algorithm, checkHeader } from './header.ts'
import { type ReadToken, readToken } from './read-token.ts'
import { type TokenReason, TokenRefused } from './refused.ts'
import { AGE_LIMITS, type AgeLimits, checkTimes } from './times.ts'
import { type TokenIdentity, tokenIdentity } from './token-identity.ts'

/** Where the keys of trusted issuers come from. */
export interface KeySource {
  /** Throws `TokenRefused`: `key_…`, `algorithm_not_offered`, `issuer_…`. */
  key(issuer: string, algorithm: Algorithm, kid: string | null): Promise<CryptoKey>
}

export interface VerifyTerms {
  readonly trusted: TrustedIssuers
  readonly keys: KeySource
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly limits?: AgeLimits
}

export type Verification =
  | {
      readonly outcome: 'verified'
      readonly issuer: string
      readonly claims: JsonObject
      /** To be consumed with the lease, in one transaction. */
      readonly identity: TokenIdentity
      /** Milliseconds since the epoch. */
      readonly expiresAt: number
    }
  | { readonly outcome: 'refused'; readonly reason: TokenReason; readonly message: string }

/**
 * Verifies an identity token of a trusted issuer (OpenID Connect Core 1.0 §3.1.3.7, RFC 8725). Says
 * nothing about what it may get: match its claims against the rules for that. Never throws for a token,
 * however bad; reason and message are for the audit log, not for who presented it. May be repeated: it
 * consumes nothing.
 *
 * All that needs no key comes first, so that a token no rule could ever accept costs its issuer no
 * request and us no signature.
 */
export async function verifyIdentityToken(
  token: Secret,
  terms: VerifyTerms,
): Promise<Verification> {
  try {
    const text = token.reveal()
    const read = readToken(text)
    const { algorithm, kid } = checkHeader(read.header)
    const issuer = checkIssuer(read.claims, terms.trusted)
    const expiresAt = checkTimes(read.claims, terms.now, terms.limits ?? AGE_LIMITS)
    checkIdentity(read.claims)
    const key = await terms.keys.key(issuer, algorithm, kid)
    await checkSignature(text, key, algorithm)
    return { outcome: 'verified', issuer, expiresAt, ...verified(read, expiresAt) }
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error
    return { outcome: 'refused', reason: error.reason, message: error.message }
  }
}

function verified({ claims, signed }: ReadToken, expiresAt: number) {
  return { claims, identity: tokenIdentity(claims, signed, expiresAt) }
}

/** The issuer, if one of the rules names it and this audience with it. */
function checkIssuer(claims: JsonObject, trusted: TrustedIssuers): string {
  const issuer = text(claims, 'iss')
  const audiences = trusted.get(issuer)
  if (!audiences) throw new TokenRefused('issuer_unknown', 'no rule names the issuer of the token')
  if (audiences.has(audienceOf(claims))) return issuer
  throw new TokenRefused('audience_other', 'the token is meant for someone else')
}

/** A token for several is in the hands of all of them; each could present it to the others. */
function audienceOf(claims: JsonObject): string {
  const aud = claimOf(claims, 'aud')
  if (!Array.isArray(aud)) return text(claims, 'aud')
  const [only, ...others] = aud
  if (only === undefined || others.length > 0) {
    throw new TokenRefused('audience_many', 'the token is not meant for exactly one')
  }
  return text({ aud: only }, 'aud')
}

/** `sub` has to be there (OpenID Connect Core 1.0 §2); `jti` makes the token unique where it is there. */
function checkIdentity(claims: JsonObject): void {
  text(claims, 'sub')
  if (claimOf(claims, 'jti') !== undefined) text(claims, 'jti')
}

function text(claims: JsonObject, name: string): string {
  const value = claimOf(claims, name)
  if (value === undefined) throw new TokenRefused('claim_missing', `the claim "${name}" is missing`)
  if (typeof value === 'string' && value !== '') return value
  throw new TokenRefused('claim_mistyped', `the claim "${name}" is not text`)
}

/** Over the bytes as they came. `algorithm` is the issuer's and ours, checked before it gets here. */
async function checkSignature(token: string, key: CryptoKey, algorithm: Algorithm): Promise<void> {
  const { compactVerify } = await import('jose')
  try {
    await compactVerify(token, key, { algorithms: [algorithm] })
  } catch (error) {
    throw new TokenRefused('signature_bad', 'the signature is not that of the issuer', error)
  }
}
