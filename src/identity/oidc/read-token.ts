import { isObject, type JsonObject } from '../../lib/json.ts'
import { readStrictJson } from '../../lib/strict-json.ts'
import { TokenRefused } from './refused.ts'

/** Those of CI systems are under 3 KB; a person's may list a few hundred groups. */
const MAX_TOKEN = 16_384
const LIMITS = { bytes: MAX_TOKEN, depth: 8 }

/** A token taken apart and not believed yet. */
export interface ReadToken {
  readonly header: JsonObject
  readonly claims: JsonObject
  /** What the signature is over (RFC 7515 §5.2 step 8). */
  readonly signed: string
}

/**
 * Takes a compact JWS apart (RFC 7515 §7.1). Stricter than most readers, so that no two of them can
 * disagree about one token: the one canonical base64url of each part, and JSON in which no key stands
 * twice. Throws `TokenRefused`.
 */
export function readToken(token: string): ReadToken {
  if (token.length > MAX_TOKEN) {
    throw new TokenRefused('token_too_large', `the token is longer than ${MAX_TOKEN} characters`)
  }
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  if (more.length > 0 || token.split('.').length !== 3) throw malformed('not three parts')
  const read = {
    header: readPart(header),
    claims: readPart(payload),
    signed: `${header}.${payload}`,
  }
  decode(signature)
  return read
}

function readPart(part: string): JsonObject {
  const bytes = decode(part)
  try {
    const value = readStrictJson(bytes, LIMITS)
    if (isObject(value)) return value
  } catch (error) {
    throw malformed('a part is not JSON that can be read in one way only', error)
  }
  throw malformed('a part is not a JSON object')
}

/** Padding, white space, other alphabets and loose last bits would be a second text of one token. */
function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') === part) return bytes
  throw malformed('a part is not canonical base64url')
}

function malformed(what: string, cause?: unknown): TokenRefused {
  return new TokenRefused('token_malformed', `the token is not a signed JWT: ${what}`, cause)
}
