import type { Json } from '../lib/json.ts'

const SHOWN = 60

/** Control codes, and characters that reorder what a reviewer is shown: no honest file holds them. */
export const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

/** `U+202E` */
export function codePoint(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}

/**
 * Text of the file in a message: quoted, escaped, and cut, so that it stays one readable line. The
 * password of a URL pasted into the wrong place is left out.
 */
export function quoted(text: string): string {
  const safe = text.replaceAll(/\/\/[^/\s]*@/g, '//…@')
  return JSON.stringify(safe.length > SHOWN ? `${safe.slice(0, SHOWN)}…`.toWellFormed() : safe)
}

/** What stands there, for "found …". */
export function describeValue(value: Json | undefined): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value === 'boolean') return `${value}`
  return Array.isArray(value) ? 'a list' : 'a map of keys'
}

/** As it is where that is plain, quoted and escaped where it is not. */
export function printable(text: string): string {
  return /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(text) ? text : JSON.stringify(text)
}
