import { promises as dns, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Agent, request } from 'undici'
import { isLoopback, isPrivate, isReserved } from '../../lib/addresses.ts'
import { TokenRefused } from './refused.ts'

const MAX_BYTES = 100 * 1024
const MAX_HEADER_BYTES = 16 * 1024
const TIMEOUT_MS = 5000

/** One answer of an issuer: always of status 200, and whole. */
export interface IssuerAnswer {
  readonly cacheControl: string
  readonly body: Uint8Array
}

/** One GET. Throws `TokenRefused` with an `issuer_…` reason. */
export type IssuerFetch = (url: string) => Promise<IssuerAnswer>

export interface IssuerFetchOptions {
  /** PEM, trusted besides the usual roots. */
  readonly ca: string | null
  /** True: issuers on this machine and in private networks, too. Never link-local and metadata addresses. */
  readonly privateAddresses: boolean
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>
  readonly timeoutMs?: number
}

/**
 * Asks issuers, within limits: 5 s in all, 100 KiB, certificate and name verified, no redirects (an
 * issuer that sends elsewhere could send anywhere), and only addresses that were checked. `close` ends
 * its connections.
 */
export function createIssuerFetch(
  options: IssuerFetchOptions,
): IssuerFetch & { close(): Promise<void> } {
  const agent = openAgent(options)
  const get = async (url: string): Promise<IssuerAnswer> => {
    checkLiteral(new URL(url).hostname, options.privateAddresses)
    try {
      return await ask(url, agent, options.timeoutMs ?? TIMEOUT_MS)
    } catch (error) {
      throw error instanceof TokenRefused ? error : explained(error)
    }
  }
  return Object.assign(get, { close: () => agent.destroy() })
}

async function ask(url: string, agent: Agent, timeoutMs: number): Promise<IssuerAnswer> {
  const { statusCode, headers, body } = await request(url, {
    dispatcher: agent,
    headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'broker' },
    signal: AbortSignal.timeout(timeoutMs),
  })
  // What is not read to its end is cut off; the late error of that concerns nobody.
  body.on('error', () => {})
  if (statusCode !== 200) {
    body.destroy()
    throw statusCode >= 300 && statusCode < 400
      ? new TokenRefused('issuer_redirects', 'the issuer answered with a redirect')
      : new TokenRefused('issuer_failed', `the issuer answered with status ${statusCode}`)
  }
  const cacheControl = headers['cache-control'] ?? ''
  return { cacheControl: String(cacheControl), body: await readBody(body) }
}

async function readBody(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    size += part.byteLength
    // Leaving the loop destroys the body.
    if (size > MAX_BYTES) {
      throw new TokenRefused(
        'issuer_too_large',
        `the issuer answered with more than ${MAX_BYTES} bytes`,
      )
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function openAgent({ ca, privateAddresses, resolve = resolveName }: IssuerFetchOptions): Agent {
  const roots = getCACertificates('default')
  // Checked at the moment of connecting and nowhere else: a name may have another address by then.
  const lookup: LookupFunction = (host, { all }, done) => {
    resolve(host).then(
      (addresses) => {
        const [first] = addresses
        const refused = addresses.some(({ address }) => isRefused(address, privateAddresses))
        if (refused) done(privateAddress(host), '')
        else if (!first) done(new Error('the host has no address'), '')
        else if (all) done(null, [...addresses])
        else done(null, first.address, first.family)
      },
      (error: Error) => done(error, ''),
    )
  }
  return new Agent({
    connections: 2,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    connect: {
      timeout: TIMEOUT_MS,
      lookup,
      ca: ca === null ? roots : [...roots, ca],
      // Said outright: the environment variable that turns verification off must not reach us.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
    },
  })
}

const resolveName = (host: string) => dns.lookup(host, { all: true })

/** An address in place of a name is never looked up. */
function checkLiteral(hostname: string, privateAddresses: boolean): void {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && isRefused(host, privateAddresses)) throw privateAddress(host)
}

function isRefused(address: string, privateAddresses: boolean): boolean {
  if (isReserved(address)) return !(privateAddresses && isLoopback(address))
  return isPrivate(address) && !privateAddresses
}

function privateAddress(host: string): TokenRefused {
  return new TokenRefused('issuer_private', `the host "${host}" is not at a public address`)
}

/** Our own words: the error's may quote what a stranger's server said. */
function explained(error: unknown): TokenRefused {
  const { code = '', name = '' } = error as { code?: string; name?: string }
  const refuse = (what: string) => new TokenRefused('issuer_unreachable', what, error)
  if (name === 'TimeoutError') return refuse('the issuer did not answer in time')
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return refuse("the issuer's host was not found")
  if (/CERT|TLS|SSL|ALTNAME|SIGNED|ISSUER/.test(code)) {
    return refuse("the issuer's certificate is not one we accept")
  }
  return refuse('the issuer could not be reached')
}
