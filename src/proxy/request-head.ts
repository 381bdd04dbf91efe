import { formatAuthority, parseAuthority } from './authority.ts'
import { checkFields, isFraming, isHop, nominated } from './fields.ts'
import type { Field, JudgedRequest } from './gate.ts'
import { malformed, Refused } from './refusal.ts'
import { checkTarget, splitTarget } from './target-path.ts'

/** A head as the parser (llhttp, nghttp2) hands it over. */
export interface RawHead {
  readonly protocol: 'http/1.0' | 'http/1.1' | 'h2' | 'other'
  readonly method: string
  readonly target: string
  /** Names and values in turn, in the client's order, HTTP/2's pseudo fields included. */
  readonly rawFields: readonly string[]
  readonly upgrade: 'websocket' | undefined
  /** HTTP/2 said with the head that no body follows. */
  readonly ended: boolean
}

/** What the connection is for: the place the client named when it opened it, which was routed. */
export interface Channel {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  readonly route: 'intercept' | 'tunnel'
  readonly reserved: boolean
  /** The same place as `formatAuthority` writes it: most requests name it in these very characters. */
  readonly authority: string
}

/** For a place in canonical form. */
export function channelTo(
  scheme: Channel['scheme'],
  { host, port }: Pick<Channel, 'host' | 'port'>,
  route: Channel['route'],
  reserved: boolean,
): Channel {
  return { scheme, host, port, route, reserved, authority: formatAuthority(scheme, host, port) }
}

export type Head = Omit<JudgedRequest, 'id' | 'body'>

interface Sorted {
  readonly host: string[]
  readonly length: string[]
  readonly coding: string[]
  readonly connection: string[]
  scheme: string | undefined
  authority: string | undefined
  /** Without those above, the framing and the hop-by-hop ones. */
  readonly rest: Field[]
}

/**
 * Turns a parsed head into the one form that is judged and forwarded, or throws `Refused`. Framing
 * comes first: a request whose end is in doubt is not looked at further.
 */
export function readHead(raw: RawHead, channel: Channel, fieldLimit: number): Head {
  if (raw.protocol === 'other') throw malformed('the protocol version is not HTTP/1.1 or HTTP/2')
  if (raw.rawFields.length / 2 > fieldLimit) {
    throw new Refused('request_too_large', 'the request has too many fields')
  }
  const sorted = sort(raw.rawFields)
  const length = readLength(raw, sorted)
  if (raw.method === 'TRACE' || raw.method === 'CONNECT') {
    throw malformed('the method is not one that a request to an origin may have')
  }
  const target = agreeOnAuthority(raw, sorted, channel)
  const split = splitTarget(target)
  const fields = joinCookies(endToEnd(sorted))
  if (channel.route === 'intercept') {
    checkTarget(target, split)
    checkFields(fields)
  }
  return {
    protocol: raw.protocol,
    route: channel.route,
    scheme: channel.scheme,
    host: channel.host,
    port: channel.port,
    method: raw.method,
    target,
    path: split.path,
    query: split.query,
    fields,
    length,
    upgrade: raw.upgrade,
  }
}

function sort(raw: readonly string[]): Sorted {
  const sorted: Sorted = {
    host: [],
    length: [],
    coding: [],
    connection: [],
    scheme: undefined,
    authority: undefined,
    rest: [],
  }
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    const value = raw[at + 1] ?? ''
    if (name === 'host') sorted.host.push(value)
    else if (name === 'content-length') sorted.length.push(value)
    else if (name === 'transfer-encoding') sorted.coding.push(value)
    else if (name === 'connection') sorted.connection.push(value)
    else if (name === ':scheme') sorted.scheme = value
    else if (name === ':authority') sorted.authority = value
    else if (!name.startsWith(':') && !isHop(name) && !isFraming(name))
      sorted.rest.push([name, value])
  }
  return sorted
}

/** RFC 9112 §6.3. The parser refuses most of this already; here it is refused whatever the parser does. */
function readLength({ protocol, ended }: RawHead, { length, coding }: Sorted): number | 'chunked' {
  if (coding.length > 0) {
    if (length.length > 0) throw malformed('the request has a length and a transfer coding')
    if (protocol !== 'http/1.1') throw malformed('only HTTP/1.1 has transfer codings')
    if (coding.length > 1 || coding[0]?.toLowerCase() !== 'chunked') {
      throw malformed('the transfer coding is not chunked alone')
    }
    return 'chunked'
  }
  if (length.length === 0) return protocol === 'h2' && !ended ? 'chunked' : 0
  if (length.length > 1) throw malformed('the request has two lengths')
  const text = length[0] ?? ''
  const bytes = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(bytes)) {
    throw malformed('the length is not a number')
  }
  return bytes
}

const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s

/** Every name for the host that the request carries has to be the one that was routed. */
function agreeOnAuthority(raw: RawHead, sorted: Sorted, channel: Channel): string {
  const named = sorted.host
  let target = raw.target
  if (raw.protocol === 'h2') {
    if (sorted.scheme !== channel.scheme)
      throw malformed('the scheme is not the one of the connection')
    if (sorted.authority !== undefined) named.push(sorted.authority)
    if (named.length === 0) throw malformed('the request names no host')
  } else if (named.length !== 1) {
    throw malformed(
      named.length === 0 ? 'the request names no host' : 'the request names two hosts',
    )
  }
  const absolute = target.startsWith('/') ? null : ABSOLUTE.exec(target)
  if (absolute) {
    if (absolute[1]?.toLowerCase() !== channel.scheme) {
      throw malformed('the scheme is not the one of the connection')
    }
    named.push(absolute[2] ?? '')
    target = absolute[3]?.startsWith('/') ? absolute[3] : `/${absolute[3] ?? ''}`
  }
  for (const name of named) {
    if (name === channel.authority) continue
    const { host, port } = parseAuthority(name)
    if (host !== channel.host || (port ?? defaultPort(channel.scheme)) !== channel.port) {
      throw malformed(
        `the request is for another host than the connection, which is for "${channel.authority}"`,
      )
    }
  }
  return target
}

export const defaultPort = (scheme: 'http' | 'https') => (scheme === 'https' ? 443 : 80)

function endToEnd({ rest, connection }: Sorted): readonly Field[] {
  const dropped = nominated(connection)
  return dropped.size === 0 ? rest : rest.filter(([name]) => !dropped.has(name))
}

/** HTTP/2 may split Cookie; one field is what HTTP/1.1 knows (RFC 9113 §8.2.3). */
function joinCookies(fields: readonly Field[]): readonly Field[] {
  const cookies = fields.filter(isCookie)
  if (cookies.length < 2) return fields
  const joined: Field = ['cookie', cookies.map(([, value]) => value).join('; ')]
  return [...fields.filter((field) => !isCookie(field)), joined]
}

const isCookie = ([name]: Field) => name === 'cookie'
