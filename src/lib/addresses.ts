import { BlockList, isIP } from 'node:net'

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

/** Networks of one's own (RFC 1918, RFC 6598, RFC 4193) and those for measurements (RFC 2544). */
const PRIVATE = new BlockList()
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
] as const) {
  PRIVATE.addSubnet(network, bits, 'ipv4')
}
PRIVATE.addSubnet('fc00::', 7, 'ipv6')

/** What is no address at all counts as each of the three: refuse it. */
export const isReserved = (address: string) => listed(RESERVED, address)
export const isLoopback = (address: string) => listed(LOOPBACK, address)
export const isPrivate = (address: string) => listed(PRIVATE, address)

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

/**
 * What one sender can choose freely counts as one: of IPv6 the /64 that a customer is given at least.
 * IPv4, also written within IPv6, counts by address; anything else as it is.
 */
export function networkOf(address: string): string {
  const plain = address.replace(/%.*$/, '')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1]
  if (mapped !== undefined) return mapped
  if (isIP(plain) !== 6) return address.slice(0, 100)
  const network = expand(plain).slice(0, 4)
  return `${network.map((group) => group.toString(16)).join(':')}::/64`
}

function dotted(groups: readonly number[]): string {
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.')
}
