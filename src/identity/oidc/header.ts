import type { JsonObject } from '../../lib/json.ts'
import { TokenRefused } from './refused.ts'

/** What we verify at all (RFC 8725 §3.1); each issuer's metadata narrows it further. */
export const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

export interface TokenHeader {
  readonly algorithm: Algorithm
  /** Null: the issuer has to have a single key that fits. */
  readonly kid: string | null
}

/** Members that bring a key along or say where to fetch one (RFC 7515 §4.1.2, 4.1.3, 4.1.5, 4.1.6). */
const KEY_MEMBERS = ['jwk', 'jku', 'x5u', 'x5c'] as const
const MAX_KID = 1024

/** Throws `TokenRefused` for a header that is not that of a plain identity token. */
export function checkHeader(header: JsonObject): TokenHeader {
  const member = KEY_MEMBERS.find((name) => Object.hasOwn(header, name))
  if (member) throw new TokenRefused('header_key', `the header has "${member}"`)
  // Nothing we know is critical, and what is not known must not be ignored (RFC 7515 §4.1.11).
  if (Object.hasOwn(header, 'crit'))
    throw new TokenRefused('header_critical', 'the header has "crit"')
  checkType(header)
  return { algorithm: algorithmOf(header), kid: kidOf(header) }
}

/** Access tokens, logout tokens and proofs are signed with the same keys (RFC 8725 §3.11). */
function checkType(header: JsonObject): void {
  if (!Object.hasOwn(header, 'typ')) return
  const typ = header['typ']
  if (typeof typ === 'string' && typ.toUpperCase() === 'JWT') return
  throw new TokenRefused('type_wrong', 'the token is not of type JWT')
}

function algorithmOf(header: JsonObject): Algorithm {
  const alg = Object.hasOwn(header, 'alg') ? header['alg'] : undefined
  const known = ALGORITHMS.find((one) => one === alg)
  if (known) return known
  const name = typeof alg === 'string' ? alg.toUpperCase() : ''
  if (name === 'NONE') throw new TokenRefused('algorithm_none', 'the token is not signed')
  if (name.startsWith('HS')) {
    throw new TokenRefused('algorithm_symmetric', 'the token is signed with a shared secret')
  }
  throw new TokenRefused('algorithm_unknown', `the algorithm is not ${ALGORITHMS.join(', ')}`)
}

function kidOf(header: JsonObject): string | null {
  if (!Object.hasOwn(header, 'kid')) return null
  const kid = header['kid']
  if (typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID) return kid
  throw new TokenRefused('header_kid', 'the key id is not a short text')
}
