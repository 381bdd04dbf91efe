import { issuerKind } from '../../core/trust/issuer.ts'
import type { JsonObject } from '../../lib/json.ts'
import { ALGORITHMS, type Algorithm } from './header.ts'
import { readIssuerJson } from './issuer-json.ts'
import { TokenRefused } from './refused.ts'

/** What we need of an issuer's description of itself. */
export interface IssuerMetadata {
  readonly jwksUri: string
  /** Of those that we verify; at least one. */
  readonly algorithms: readonly Algorithm[]
}

/** OpenID Connect Discovery 1.0 §4.1: a final slash is left out before the path is added. */
export function metadataUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

/** Throws `TokenRefused` unless the document describes exactly this issuer (§4.3). */
export function readMetadata(issuer: string, body: Uint8Array): IssuerMetadata {
  const document = readIssuerJson(body, 'issuer_metadata')
  if (document['issuer'] !== issuer) throw refused('it is that of another issuer')
  const uri = document['jwks_uri']
  if (typeof uri !== 'string' || !isKeyAddress(uri, issuer)) {
    throw refused('its "jwks_uri" is not an https URL')
  }
  return { jwksUri: uri, algorithms: algorithmsOf(document) }
}

/** The keys may be at another host (Google's are): who says so is the issuer, over TLS. */
function isKeyAddress(uri: string, issuer: string): boolean {
  if (!URL.canParse(uri)) return false
  const { protocol, origin, username, password } = new URL(uri)
  if (username || password) return false
  if (protocol === 'https:') return true
  return issuerKind(issuer) === 'loopback' && origin === new URL(issuer).origin
}

/** Where the list is missing, the one algorithm that every issuer has to have (§3). */
function algorithmsOf(document: JsonObject): readonly Algorithm[] {
  const offered = document['id_token_signing_alg_values_supported'] ?? ['RS256']
  const known = Array.isArray(offered) ? ALGORITHMS.filter((one) => offered.includes(one)) : []
  if (known.length > 0) return known
  throw refused(`it offers none of ${ALGORITHMS.join(', ')}`)
}

function refused(why: string): TokenRefused {
  return new TokenRefused('issuer_metadata', `the issuer's metadata is not accepted: ${why}`)
}
