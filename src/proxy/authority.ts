import { isIP } from 'node:net'
import { malformed } from './refusal.ts'

export interface Authority {
  /** Lower-case name, dotted IPv4, or IPv6 in its short form without brackets. */
  readonly host: string
  readonly port: number | undefined
}

// Names only in the form that every resolver and every server reads alike: no trailing dot, no
// empty label, no user information, no zone, no percent escapes, nothing outside ASCII.
const NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/
// Resolvers read `127.1`, `0x7f000001` and `2130706433` as addresses; servers and lists do not.
const NUMERIC_END = /(?:^|\.)(?:0x[0-9a-f]*|[0-9]+)$/

/** Reads a host as it stands in a URL authority. Throws `request_malformed` for all that is unusual. */
export function parseHost(text: string): string {
  const host = text.toLowerCase()
  if (host.startsWith('[') && host.endsWith(']')) {
    const inner = host.slice(1, -1)
    if (isIP(inner) !== 6 || inner.includes('%')) throw malformed('the host is not an IPv6 address')
    return new URL(`http://${host}`).hostname.slice(1, -1)
  }
  if (isIP(host) === 4) return host
  if (!NAME.test(host)) throw malformed('the host is not a plain host name')
  if (NUMERIC_END.test(host)) throw malformed('the host is an address in an unusual form')
  return host
}

/** Reads `host[:port]`. */
export function parseAuthority(text: string): Authority {
  const match = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?$/.exec(text)
  if (!match) throw malformed('the authority is not a host and a port')
  const port = match[2] === undefined ? undefined : Number(match[2])
  if (port !== undefined && (port < 1 || port > 65535)) throw malformed('the port is out of range')
  return { host: parseHost(match[1] ?? ''), port }
}

/** `host[:port]` as it is written in a URL, the port left out where the scheme implies it. */
export function formatAuthority(scheme: 'http' | 'https', host: string, port: number): string {
  const name = isIP(host) === 6 ? `[${host}]` : host
  return port === (scheme === 'https' ? 443 : 80) ? name : `${name}:${port}`
}
