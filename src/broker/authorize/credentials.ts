import { timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../lib/secret.ts'
import type { Carrier } from '../../providers/guard.ts'
import type { JudgedRequest } from '../../proxy/gate.ts'

/** Where a request carries something that looks like a credential. */
export interface Found {
  /** In our words, for the refusal: `header "authorization"`. Never the value. */
  readonly where: string
  /** The credential itself, as far as it can be told from its wrapping: for the fingerprint. */
  readonly value: string
}

export interface Credentials {
  /** In the places where the provider's clients put it, each with every reading of its value. */
  readonly carried: readonly (Found & { readonly readings: readonly string[] })[]
  /** Anywhere else. */
  readonly elsewhere: readonly Found[]
}

/** Field names that carry credentials at one API or another. A new API's way in must not be a way around. */
const FIELD =
  /(?:^|[-_])(?:auth|authorization|authentication|token|apikey|api[-_]key|access[-_]key|secret|password|passwd|cookie|credentials?|jwt|bearer|assertion)$|^x-amz-security-token$|^x-auth-/i

const PARAMETER =
  /^(?:(?:access|auth|api|refresh|id|session|project|team|bearer|oauth)[-_]?(?:token|key)|token|apikey|auth|authorization|password|passwd|secret|client_secret|jwt|signature)$/i

/** Everything in the head of a request that is, or may be, a credential. Pure. */
export function findCredentials(
  { fields, query }: Pick<JudgedRequest, 'fields' | 'query'>,
  carriers: readonly Carrier[],
): Credentials {
  const carried: (Found & { readings: string[] })[] = []
  const elsewhere: Found[] = []
  for (const [name, value] of fields) {
    if (isEmpty(value)) continue
    const schemes = carriers.filter(({ header }) => header === name)
    const where = `header "${name}"`
    if (schemes.length > 0) {
      const readings = schemes.flatMap(({ scheme }) => read(scheme, value))
      carried.push({ where, value: unwrapped(value), readings })
    } else if (FIELD.test(name)) elsewhere.push({ where, value: unwrapped(value) })
  }
  for (const [name, value] of parameters(query)) {
    if (PARAMETER.test(name) && value !== '') elsewhere.push({ where: 'the query', value })
  }
  return { carried, elsewhere }
}

/** The request carries nothing that is, or may be, a credential. */
export function isNone({ carried, elsewhere }: Credentials): boolean {
  return carried.length === 0 && elsewhere.length === 0
}

/** What a script sends whose variable is not set; no credential, and no key found somewhere. */
function isEmpty(value: string): boolean {
  return /^(?:bearer|basic)?\s*$/i.test(value)
}

/** RFC 6750 §2.1, RFC 7617 §2. A value that is not of the scheme has no reading. */
function read(scheme: Carrier['scheme'], value: string): string[] {
  if (scheme === 'raw') return [value]
  const [, name = '', rest = ''] = /^([A-Za-z]+) +(\S+)$/.exec(value) ?? []
  if (name.toLowerCase() !== scheme) return []
  return scheme === 'bearer' ? [rest] : pairIn(rest)
}

/** User and password, those that are not empty. */
function pairIn(encoded: string): string[] {
  const pair = Buffer.from(encoded, 'base64').toString()
  const colon = pair.indexOf(':')
  if (colon < 0) return []
  return [pair.slice(0, colon), pair.slice(colon + 1)].filter((part) => part !== '')
}

/** One key is one key, whatever scheme it comes with: its fingerprint has to be the same. */
function unwrapped(value: string): string {
  const [, scheme = '', rest = ''] = /^([A-Za-z]+)[\t ]+(\S+)$/.exec(value) ?? []
  if (rest === '') return value
  return scheme.toLowerCase() === 'basic' ? (pairIn(rest).at(-1) ?? rest) : rest
}

function parameters(query: string | undefined): readonly (readonly [string, string])[] {
  if (query === undefined || query === '') return []
  return [...new URLSearchParams(query)]
}

/** True when one of the readings is that secret. Its length may show: it is the provider's format. */
export function holds(readings: readonly string[], secret: Secret): boolean {
  const wanted = Buffer.from(secret.reveal())
  return readings.some((reading) => {
    const given = Buffer.from(reading)
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}
