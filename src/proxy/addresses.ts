import { promises as dns, type LookupAddress } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import { Refused } from './refusal.ts'

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export const resolveName: Resolve = (host) => dns.lookup(host, { all: true })

/** This machine, this link, and the addresses at which clouds hand credentials to whoever asks. */
const RESERVED = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['224.0.0.0', 3], // multicast, reserved, broadcast
  ['100.100.100.200', 32], // Alibaba Cloud metadata
  ['168.63.129.16', 32], // Azure wire server
] as const) {
  RESERVED.addSubnet(network, bits, 'ipv4')
}
for (const [network, bits] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
  ['fd00:ec2::', 32], // AWS metadata and its neighbours
  ['fd20:ce::', 32], // Google metadata
] as const) {
  RESERVED.addSubnet(network, bits, 'ipv6')
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addSubnet('0.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')
LOOPBACK.addAddress('::', 'ipv6')

export const isReserved = (address: string) => listed(RESERVED, address)
export const isLoopback = (address: string) => listed(LOOPBACK, address)

/** An IPv6 address that carries an IPv4 one is judged as both. */
function listed(list: BlockList, address: string): boolean {
  const family = isIP(address)
  if (family === 4) return list.check(address, 'ipv4')
  if (family !== 6) return true // not an address at all: refuse
  const inner = embedded(address)
  return list.check(address, 'ipv6') || (inner !== undefined && list.check(inner, 'ipv4'))
}

/** Mapped (::ffff:0:0/96), compatible (::/96), NAT64 (64:ff9b::/96) and 6to4 (2002::/16). */
function embedded(address: string): string | undefined {
  const groups = expand(address)
  const [first, second] = groups
  const low = groups.slice(6)
  const zeros = groups.slice(0, 5).every((group) => group === 0)
  if (zeros && (groups[5] === 0xffff || groups[5] === 0)) return dotted(low)
  if (first === 0x64 && second === 0xff9b) return dotted(low)
  if (first === 0x2002) return dotted(groups.slice(1, 3))
  return undefined
}

/** The eight groups of an IPv6 address. */
export function expand(address: string): number[] {
  const plain = new URL(`http://[${address.split('%', 1)[0]}]`).hostname.slice(1, -1)
  const [left = '', right] = plain.split('::')
  const read = (text: string) =>
    text === '' ? [] : text.split(':').map((part) => parseInt(part, 16))
  const head = read(left)
  const tail = right === undefined ? [] : read(right)
  return [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail]
}

function dotted(groups: readonly number[]): string {
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.')
}

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

/**
 * The addresses to connect to: resolved once, each checked, and no name is looked up after this
 * (a second answer could be another one). One reserved address among many refuses all of them.
 */
export async function addressesOf(
  { host, port, reserved }: Destination,
  resolve: Resolve,
  own: OwnPorts,
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
