import { isLoopbackHost } from '../../lib/loopback-host.ts'

const MAX_ISSUER = 500

/**
 * How an issuer may be reached: `https`, or `loopback` for plain http on this machine alone (tests);
 * null for what is no issuer (OpenID Connect Discovery 1.0 §3: an https URL without query and
 * fragment). Issuers are compared as text, so only the one form that a URL parser would write is
 * taken: upper case, a default port, dot segments, a final dot or letters beyond ASCII in the host
 * would be a second text for the same place, or a look-alike of another.
 */
export function issuerKind(text: string): 'https' | 'loopback' | null {
  if (text.length > MAX_ISSUER || !URL.canParse(text)) return null
  const { origin, pathname, protocol, hostname } = new URL(text)
  const canonical = text === origin + pathname || (pathname === '/' && text === origin)
  if (!canonical || hostname.endsWith('.')) return null
  if (protocol === 'https:') return 'https'
  return protocol === 'http:' && isLoopbackHost(hostname) ? 'loopback' : null
}
