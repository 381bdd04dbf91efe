import { promises as dns, type LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { isLoopback, isPrivate, isReserved } from '../lib/addresses.ts'
import { Refused } from './refusal.ts'

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export const resolveName: Resolve = (host) => dns.lookup(host, { all: true })

/** Ports on which this process's own proxies listen; shared by every listener of the process. */
export class OwnPorts {
  readonly #ports = new Set<number>()

  add(port: number): void {
    this.#ports.add(port)
  }

  delete(port: number): void {
    this.#ports.delete(port)
  }

  has(port: number): boolean {
    return this.#ports.has(port)
  }
}

export interface Destination {
  readonly host: string
  readonly port: number
  /** True: reserved addresses are fine; our own listeners never are. */
  readonly reserved: boolean
}

/** What of the network a lease may be carried to, beyond what is never reached. */
export interface Reach {
  readonly own: OwnPorts
  /** Networks of one's own (RFC 1918, RFC 4193, …). */
  readonly privateNetworks: boolean
}

/**
 * The addresses to connect to: resolved once, each checked, and no name is looked up after this
 * (a second answer could be another one). One reserved address among many refuses all of them.
 */
export async function addressesOf(
  { host, port, reserved }: Destination,
  resolve: Resolve,
  { own, privateNetworks }: Reach,
): Promise<readonly LookupAddress[]> {
  const family = isIP(host)
  const addresses = family ? [{ address: host, family }] : await lookUp(host, resolve)
  for (const { address } of addresses) {
    if (own.has(port) && isLoopback(address)) {
      throw new Refused('egress_denied', 'the request would come back to the proxy itself')
    }
    if (!reserved && isReserved(address)) {
      throw new Refused(
        'egress_denied',
        'the host is on this machine, this link or a metadata service',
      )
    }
    if (!reserved && !privateNetworks && isPrivate(address)) {
      throw new Refused(
        'egress_denied',
        'the host is in a private network of the broker, and the template lists no hosts',
      )
    }
  }
  return addresses
}

async function lookUp(host: string, resolve: Resolve): Promise<readonly LookupAddress[]> {
  try {
    const addresses = await resolve(host)
    if (addresses.length > 0) return addresses
  } catch (error) {
    throw new Refused('upstream_failed', `the host "${host}" could not be found`, error)
  }
  throw new Refused('upstream_failed', `the host "${host}" has no address`)
}
