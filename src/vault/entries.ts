import { Secret } from '../lib/secret.ts'

/** What the file vault holds. Replaced whole, never changed. */
export type Entries = ReadonlyMap<string, Secret>

/** `{name: base64 of UTF-8}`: any character survives, and a name may even be `__proto__`. */
export function writeEntries(entries: Entries): string {
  return JSON.stringify(
    Object.fromEntries(
      [...entries].map(([name, secret]) => [name, Buffer.from(secret.reveal()).toString('base64')]),
    ),
  )
}

/** Null for anything that `writeEntries` did not write. */
export function readEntries(text: string): Entries | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const entries = new Map<string, Secret>()
  for (const [name, encoded] of Object.entries(value)) {
    const secret = typeof encoded === 'string' ? decodeText(encoded) : null
    if (secret === null) return null
    entries.set(name, secret)
  }
  return entries
}

/** Strict, where Buffer skips what it does not know: a damaged secret must not pass for a whole one. */
export function decodeText(encoded: string): Secret | null {
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return null
  try {
    return new Secret(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    return null
  }
}
