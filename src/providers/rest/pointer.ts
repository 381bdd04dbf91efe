import { malformed, quote } from '../../core/refused.ts'
import { isObject, type Json } from '../../lib/json.ts'

/** Alike for texts that a server may take for the same: case and width of letters do not count. */
export function fold(text: string): string {
  return text.normalize('NFKC').trim().toUpperCase().toLowerCase()
}

/**
 * The value at a JSON pointer's steps; undefined where nothing stands there. Refused is what two
 * servers may look up differently: members that differ in case only (some decoders ignore it and let
 * the last win), and anything but objects on the way.
 */
export function valueAt(body: Json | undefined, steps: readonly string[]): Json | undefined {
  let value = body
  for (const step of steps) {
    if (value === undefined || value === null) return undefined
    if (!isObject(value))
      throw malformed(`the body has no object where ${quote(step)} is looked for`)
    const twin = Object.keys(value).find((key) => key !== step && fold(key) === fold(step))
    if (twin !== undefined) throw malformed(`member ${quote(twin)} is not ${quote(step)}`)
    value = Object.hasOwn(value, step) ? value[step] : undefined
  }
  return value
}
