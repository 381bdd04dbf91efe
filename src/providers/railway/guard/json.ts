import type { Json } from '../../../lib/json.ts'
import { LIMITS } from './limits.ts'
import { malformed, tooLarge } from './refused.ts'

/**
 * Reads JSON in which every key stands once: of two equal keys one parser takes the first and another
 * the last, and then judge and server read different requests. Invalid UTF-8, a byte order mark and
 * deep nesting are refused too.
 */
export function readJson(bytes: Uint8Array): Json {
  if (bytes.byteLength > LIMITS.bodyBytes) throw tooLarge('the request body is too large')
  return parseJson(decode(bytes))
}

export function parseJson(text: string): Json {
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    throw malformed('the request body is not valid JSON')
  }
  // After the parser, which accepts only valid JSON: the scan may then rely on its syntax.
  scan(text)
  return value
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw malformed('the request body is not valid UTF-8')
  }
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]|-?\d[\d.eE+-]*/g

function scan(text: string): void {
  // The keys seen in each object that is open; null stands for a list.
  const open: (Set<string> | null)[] = []
  let keyNext = false
  for (const [token] of text.matchAll(TOKEN)) {
    const keys = open.at(-1) ?? null
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : null)
      if (open.length > LIMITS.valueDepth) throw tooLarge('the request body is nested too deeply')
    } else if (token === '}' || token === ']') {
      open.pop()
    } else if (token !== ',' && !token.startsWith('"')) {
      // Forwarded as JSON it would turn into null, and null is what patches delete with.
      if (!Number.isFinite(Number(token))) throw malformed('a number is too large')
    } else if (token !== ',' && keyNext && keys) {
      // Keys are compared decoded: an escaped letter is the same key.
      const key = JSON.parse(token) as string
      if (keys.has(key)) throw malformed('a key stands twice in one JSON object')
      keys.add(key)
    }
    keyNext = token === '{' || token === ','
  }
}
