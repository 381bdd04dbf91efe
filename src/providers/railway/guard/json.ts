import { readingJson } from '../../../core/refused.ts'
import type { Json } from '../../../lib/json.ts'
import { parseStrictJson, readStrictJson } from '../../../lib/strict-json.ts'
import { LIMITS } from './limits.ts'

const LIMIT = { bytes: LIMITS.bodyBytes, depth: LIMITS.valueDepth } as const

/** Reads JSON that judge and server read alike; throws `Refused`. See `lib/strict-json.ts`. */
export function readJson(bytes: Uint8Array): Json {
  return readingJson(() => readStrictJson(bytes, LIMIT))
}

export function parseJson(text: string): Json {
  return readingJson(() => parseStrictJson(text, LIMITS.valueDepth))
}
