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
  // Every entry of the audit log comes this way, most of them in order already: then it is one call.
  return isInOrder(value) ? JSON.stringify(value) : inOrder(value)
}

/** Whether `JSON.stringify` says the same: keys ascend everywhere, and there is nothing to complain of. */
function isInOrder(value: Json): boolean {
  if (value === null || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value === 'string') return value.isWellFormed()
  if (Array.isArray(value)) {
    for (const item of value) if (!isInOrder(item)) return false
    return true
  }
  // Whatever is not a plain object could have a form of its own (`toJSON`).
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return false
  const object = value as JsonObject
  let last: string | undefined
  for (const key of Object.keys(object)) {
    if (last !== undefined && key <= last) return false
    if (!key.isWellFormed() || !isInOrder(object[key] as Json)) return false
    last = key
  }
  return true
}

function inOrder(value: Json): string {
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
  if (Array.isArray(value)) return `[${Array.from(value, inOrder).join(',')}]`
  if (typeof value !== 'object') throw new TypeError(`canonical JSON cannot hold ${typeof value}`)
  const object = value as JsonObject
  let members = ''
  for (const key of Object.keys(object).sort()) {
    if (members !== '') members += ','
    members += `${inOrder(key)}:${inOrder(object[key] as Json)}`
  }
  return `{${members}}`
}
