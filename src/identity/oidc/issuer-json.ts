import { isObject, type JsonObject } from '../../lib/json.ts'
import { readStrictJson } from '../../lib/strict-json.ts'
import { type IssuerReason, TokenRefused } from './refused.ts'

/** A JSON object of an issuer, in which no key stands twice. */
export function readIssuerJson(body: Uint8Array, reason: IssuerReason): JsonObject {
  try {
    const value = readStrictJson(body, { bytes: body.byteLength, depth: 16 })
    if (isObject(value)) return value
  } catch (error) {
    throw new TokenRefused(reason, 'the issuer did not answer with JSON', error)
  }
  throw new TokenRefused(reason, 'the issuer did not answer with a JSON object')
}
