import type { Field } from './gate.ts'
import { malformed } from './refusal.ts'

/** Meant for the next hop only (RFC 9110 §7.6.1), or ours: never forwarded in either direction. */
const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Written by the engine from what it parsed, so never taken over from a list of fields. */
const FRAMING = new Set(['host', 'content-length', 'transfer-encoding', 'expect'])

/** Make a server run another method or path than the one that was judged. */
const OVERRIDES = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-method',
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
])

/** Two of these and two programs pick different ones. */
const SINGLE = new Set(['authorization', 'content-encoding', 'content-type', 'origin', 'range'])

const NONE: ReadonlySet<string> = new Set()

export const isHop = (name: string) => HOP.has(name) || name.startsWith('broker-')
export const isFraming = (name: string) => FRAMING.has(name)

/** Names that the `Connection` fields add to the hop-by-hop ones. */
export function nominated(values: readonly string[]): ReadonlySet<string> {
  if (values.length === 0) return NONE
  const names = new Set<string>()
  for (const value of values) {
    for (const part of value.split(',')) {
      const name = part.trim().toLowerCase()
      if (name === '') continue
      // Dropping a field that carries the request's meaning is not the client's to ask for.
      if (FRAMING.has(name) || SINGLE.has(name) || name === 'cookie') {
        throw malformed('the connection field names a field that is not hop-by-hop')
      }
      names.add(name)
    }
  }
  return names
}

/** Refuses fields that a server may read otherwise than a rule does. */
export function checkFields(fields: readonly Field[]): void {
  const seen: string[] = []
  for (const [name] of fields) {
    // Gateways that hand fields to programs as variables write `_` for `-`.
    const plain = name.includes('_') ? name.replaceAll('_', '-') : name
    if (OVERRIDES.has(plain)) throw malformed('a field overrides the method or the path')
    if (plain !== name && (HOP.has(plain) || FRAMING.has(plain) || SINGLE.has(plain))) {
      throw malformed('a field imitates another one')
    }
    if (!SINGLE.has(name)) continue
    if (seen.includes(name)) throw malformed('a field that may stand once stands twice')
    seen.push(name)
  }
}

export type FieldRecord = Record<string, string | string[]>

/** Names and values in turn; a field that stands several times may be one with several values. */
export type FieldList = (string | string[])[]

/**
 * What goes back to the client: without hop-by-hop fields, our own names, and ways around the proxy.
 * `received` has lower-case names.
 */
export function responseFields(received: NodeJS.Dict<string | string[]>): FieldList {
  const dropped = connectionNames(received['connection'])
  const fields: FieldList = []
  for (const name of Object.keys(received)) {
    const value = received[name]
    if (value === undefined || isHop(name) || name === 'alt-svc' || dropped.has(name)) continue
    fields.push(name, value)
  }
  return fields
}

function connectionNames(value: string | string[] | undefined): ReadonlySet<string> {
  // Nearly every server says this, of a field that is dropped anyway.
  if (value === undefined || value === 'keep-alive') return NONE
  return new Set([value].flat().flatMap((line) => line.toLowerCase().split(/\s*,\s*/)))
}

export function trailerFields(received: NodeJS.Dict<string | string[]>): FieldRecord {
  const list = responseFields(received)
  const fields: FieldRecord = Object.create(null)
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = String(list[at])
    if (!FRAMING.has(name)) fields[name] = list[at + 1] ?? ''
  }
  return fields
}

/** As they are written into a head of HTTP/1.1. */
export function fieldLines(fields: FieldList): string[] {
  return fields.flatMap((value, at) =>
    at % 2 === 0 ? [] : [value].flat().map((one) => `${fields[at - 1]}: ${one}`),
  )
}

/** Of a parser's names and values in turn. */
export function fieldRecord(raw: readonly string[]): FieldRecord {
  const fields: FieldRecord = Object.create(null)
  for (let at = 0; at + 1 < raw.length; at += 2) {
    addField(fields, (raw[at] ?? '').toLowerCase(), raw[at + 1] ?? '')
  }
  return fields
}

export function addField(fields: FieldRecord, name: string, value: string): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else if (Array.isArray(before)) before.push(value)
  else fields[name] = [before, value]
}
