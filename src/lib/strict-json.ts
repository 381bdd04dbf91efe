import type { Json } from './json.ts'

/** Why a text is not taken as JSON. `size`: over a limit; `form`: anything else. */
export class JsonRefused extends Error {
  override readonly name = 'JsonRefused'
  readonly about: 'size' | 'form'

  constructor(about: 'size' | 'form', message: string) {
    super(message)
    this.about = about
  }
}

export interface JsonLimits {
  readonly bytes: number
  /** Nested objects and lists. */
  readonly depth: number
}

/**
 * Reads JSON (RFC 8259) that every parser reads alike, so that it may be judged here, written again
 * and run elsewhere. Refused with `JsonRefused`: a key that stands twice in one object (one parser
 * takes the first, another the last), invalid UTF-8, a byte order mark, deep nesting, and numbers that
 * would come out with another value.
 */
export function readStrictJson(bytes: Uint8Array, limits: JsonLimits): Json {
  if (bytes.byteLength > limits.bytes) {
    throw new JsonRefused('size', 'the request body is too large')
  }
  return parseStrictJson(decode(bytes), limits.depth)
}

export function parseStrictJson(text: string, depth: number): Json {
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    throw new JsonRefused('form', 'the request body is not valid JSON')
  }
  // After the parser, which accepts only valid JSON: the scan may then rely on its syntax.
  scan(text, depth)
  return value
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new JsonRefused('form', 'the request body is not valid UTF-8')
  }
}

const NUMBER = /-?\d[\d.eE+-]*/y

/** Walks over valid JSON, from one token to the next. */
function scan(text: string, depth: number): void {
  // The keys seen in each object that is open; null stands for a list.
  const open: (Set<string> | null)[] = []
  let keyNext = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : null)
      if (open.length > depth) {
        throw new JsonRefused('size', 'the request body is nested too deeply')
      }
      keyNext = character === '{'
    } else if (character === '}' || character === ']') {
      open.pop()
      keyNext = false
    } else if (character === ',') keyNext = true
    else if (character === '"') {
      const end = endOfString(text, at)
      const keys = open.at(-1)
      if (keyNext && keys) addKey(keys, text.slice(at, end + 1))
      keyNext = false
      at = end
    } else if (character === '-' || (character >= '0' && character <= '9')) {
      NUMBER.lastIndex = at
      const [token = ''] = NUMBER.exec(text) ?? []
      checkNumber(token)
      at += token.length - 1
    }
  }
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  if (end < 0) throw new JsonRefused('form', 'the request body is not valid JSON')
  return end
}

function isEscaped(text: string, at: number): boolean {
  let escapes = 0
  while (text[at - 1 - escapes] === '\\') escapes += 1
  return escapes % 2 === 1
}

/** Keys are compared decoded: an escaped letter is the same key. */
function addKey(keys: Set<string>, token: string): void {
  const key = JSON.parse(token) as string
  if (keys.has(key)) throw new JsonRefused('form', 'a key stands twice in one JSON object')
  keys.add(key)
}

function checkNumber(token: string): void {
  const value = Number(token)
  // Written again as JSON it would turn into null.
  if (!Number.isFinite(value)) throw new JsonRefused('form', 'a number is too large')
  // Ids of 64 bits: the server would be sent a neighbour of what was named.
  if (decimal(token) !== decimal(String(value))) {
    throw new JsonRefused('form', 'a number has more digits than can be kept')
  }
}

/** Equal for equal values, however they are written: digits without outer zeros, and an exponent. */
function decimal(token: string): string {
  const [mantissa = '', exponent = '0'] = token.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const digits = (whole + fraction).replace(/^(-?)0+/, '$1')
  const kept = digits.replace(/0+$/, '')
  if (kept === '' || kept === '-') return '0'
  return `${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`
}
