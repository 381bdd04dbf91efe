/** A JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/** True for what JSON calls an object: neither null nor a list. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Canonical JSON: object keys sorted by UTF-16 code units, no white space, numbers as ECMAScript
 * prints them (RFC 8785). Two equal values give equal bytes, so hashes over them can be repeated.
 * Throws a TypeError for what JSON cannot hold (undefined, NaN, lone surrogates): hashing a guess is worse.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value))
      throw new TypeError('canonical JSON cannot hold a non-finite number')
    return JSON.stringify(value)
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('canonical JSON cannot hold a lone surrogate')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object') throw new TypeError(`canonical JSON cannot hold ${typeof value}`)
  const object = value as JsonObject
  // Every entry of the audit log comes this way: a loop makes less than lists of parts would.
  let members = ''
  for (const key of Object.keys(object).sort()) {
    if (members !== '') members += ','
    members += `${canonicalJson(key)}:${canonicalJson(object[key] as Json)}`
  }
  return `{${members}}`
}
