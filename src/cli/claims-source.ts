import { BrokerError } from '../errors.ts'
import { isObject, type JsonObject } from '../lib/json.ts'
import { JsonRefused, readStrictJson } from '../lib/strict-json.ts'

/** More than any identity token holds. */
const LIMITS = { bytes: 65_536, depth: 8 }
const JWT = /^[\w-]+\.([\w-]+)\.[\w-]*$/

export interface ClaimsRead {
  readonly claims: JsonObject
  /** A whole token was given, of which only the payload was read. */
  readonly fromToken: boolean
}

/** Throws `usage`, quoting nothing, where the token itself stands in place of its file's name. */
export function requireFileName(value: string): void {
  if (!JWT.test(value.trim())) return
  throw new BrokerError('usage', '--claims takes the name of a file, not a token', {
    hint: 'what stands in a command line is seen by others: pipe it in with --claims -',
  })
}

/**
 * Claims out of a JSON object, or of the payload of a JWT whose signature is not looked at. Throws
 * `invalid_request` that names `source` and quotes nothing: a token that is still good may be in it.
 */
export function readClaims(text: string, source: string): ClaimsRead {
  const payload = JWT.exec(text.trim())?.[1]
  const bytes = payload === undefined ? Buffer.from(text) : Buffer.from(payload, 'base64url')
  try {
    const claims = readStrictJson(bytes, LIMITS)
    if (isObject(claims)) return { claims, fromToken: payload !== undefined }
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error
    throw refused(source, error.message.replace('the request body', 'it'), error)
  }
  throw refused(source, 'it is no JSON object')
}

function refused(source: string, why: string, cause?: unknown): BrokerError {
  return new BrokerError('invalid_request', `"${source}" holds no claims: ${why}`, {
    hint: 'give a JSON object of claims, {"iss": "…", "aud": "…", …}, or a whole identity token',
    ...(cause !== undefined && { cause }),
  })
}
