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

export const isHop = (name: string) => HOP.has(name) || name.startsWith('broker-')
export const isFraming = (name: string) => FRAMING.has(name)

/** Names that the `Connection` fields add to the hop-by-hop ones. */
export function nominated(values: readonly string[]): ReadonlySet<string> {
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
  const seen = new Set<string>()
  for (const [name] of fields) {
    // Gateways that hand fields to programs as variables write `_` for `-`.
    const plain = name.replaceAll('_', '-')
    if (OVERRIDES.has(plain)) throw malformed('a field overrides the method or the path')
    if (plain !== name && (HOP.has(plain) || FRAMING.has(plain) || SINGLE.has(plain))) {
      throw malformed('a field imitates another one')
    }
    if (!SINGLE.has(name)) continue
    if (seen.has(name)) throw malformed('a field that may stand once stands twice')
    seen.add(name)
  }
}

export type FieldRecord = Record<string, string | string[]>

/** What goes back to the client: without hop-by-hop fields, our own names, and ways around the proxy. */
export function responseFields(raw: readonly string[]): FieldRecord {
  const connection: string[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.toLowerCase() === 'connection') connection.push(raw[at + 1] ?? '')
  }
  const dropped = new Set(connection.flatMap((value) => value.toLowerCase().split(/\s*,\s*/)))
  const fields: FieldRecord = Object.create(null)
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    if (isHop(name) || name === 'alt-svc' || dropped.has(name)) continue
    addField(fields, name, raw[at + 1] ?? '')
  }
  return fields
}

export function trailerFields(raw: readonly string[]): FieldRecord {
  const fields = responseFields(raw)
  for (const name of FRAMING) delete fields[name]
  return fields
}

export function addField(fields: FieldRecord, name: string, value: string): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else if (Array.isArray(before)) before.push(value)
  else fields[name] = [before, value]
}
