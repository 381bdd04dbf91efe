import '../lib/reflect.ts'
import { isIP } from 'node:net'
import { Extension } from '@peculiar/x509'
import { expand } from '../lib/addresses.ts'

/** Context tags of RFC 5280 §4.2.1.6 and §4.2.1.10. */
const PERMITTED = 0xa0
const EXCLUDED = 0xa1
const DNS_NAME = 0x82
const IP_ADDRESS = 0x87
const SEQUENCE = 0x30

/**
 * Limits a CA to these hosts (RFC 5280 §4.2.1.10): names with everything below them, and single
 * addresses. A kind of name that is not listed at all is excluded as a whole, else it would be free.
 * Critical: a client that cannot check it does not trust the CA.
 */
export function nameConstraints(hosts: readonly string[]): Extension {
  const names = hosts.filter((host) => isIP(host) === 0)
  const addresses = hosts.filter((host) => isIP(host) !== 0)
  const permitted = [
    ...names.map((name) => subtree(DNS_NAME, Buffer.from(name, 'latin1'))),
    ...addresses.map((address) => subtree(IP_ADDRESS, alone(address))),
  ]
  const excluded = [
    ...(names.length > 0 ? [] : [subtree(DNS_NAME, Buffer.alloc(0))]),
    ...(addresses.length > 0 ? [] : [8, 32].map((size) => subtree(IP_ADDRESS, Buffer.alloc(size)))),
  ]
  const parts = [
    ...(permitted.length > 0 ? [der(PERMITTED, ...permitted)] : []),
    ...(excluded.length > 0 ? [der(EXCLUDED, ...excluded)] : []),
  ]
  return new Extension('2.5.29.30', true, der(SEQUENCE, ...parts))
}

const subtree = (tag: number, base: Buffer) => der(SEQUENCE, der(tag, base))

/** An address and a mask of nothing but ones. */
function alone(address: string): Buffer {
  const bytes = addressBytes(address)
  return Buffer.concat([bytes, Buffer.alloc(bytes.length, 0xff)])
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  return Buffer.from(expand(address).flatMap((group) => [group >> 8, group & 0xff]))
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
