import type { Json } from '../../../lib/json.ts'
import { JsonRefused, parseStrictJson, readStrictJson } from '../../../lib/strict-json.ts'
import { LIMITS } from './limits.ts'
import { malformed, tooLarge } from './refused.ts'

/** Reads JSON that judge and server read alike; throws `Refused`. See `lib/strict-json.ts`. */
export function readJson(bytes: Uint8Array): Json {
  return refusing(() =>
    readStrictJson(bytes, { bytes: LIMITS.bodyBytes, depth: LIMITS.valueDepth }),
  )
}

export function parseJson(text: string): Json {
  return refusing(() => parseStrictJson(text, LIMITS.valueDepth))
}

function refusing(read: () => Json): Json {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error
    throw error.about === 'size' ? tooLarge(error.message) : malformed(error.message)
  }
}
