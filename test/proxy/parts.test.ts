import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { isReserved } from '../../src/lib/addresses.ts'
import { addressesOf, OwnPorts } from '../../src/proxy/addresses.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'
import { readClientHello } from '../../src/proxy/client-hello.ts'
import { fieldRecord, responseFields } from '../../src/proxy/fields.ts'
import { Refused } from '../../src/proxy/refusal.ts'
import { readHead } from '../../src/proxy/request-head.ts'

/** A ClientHello as Node's own TLS writes it. */
async function realHello(servername: string | undefined): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const heard = once(server, 'connection').then(([socket]) => once(socket, 'data'))
  const { port } = server.address() as { port: number }
  const tls = connectTls({ port, host: '127.0.0.1', ...(servername && { servername }) })
  tls.on('error', () => {})
  const [bytes] = await heard
  tls.destroy()
  server.close()
  return bytes
}

/** The same handshake message cut into records of `size`. */
function recut(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part)
  }
  return Buffer.concat(records)
}

describe('a ClientHello', () => {
  let hello: Buffer
  beforeAll(async () => {
    hello = await realHello('api.test')
  })

  it('whose name is no plain host is broken', () => {
    for (const name of ['api.te\0t', 'api..est', 'apitest.', '1.2.0x7f']) {
      const changed = Buffer.from(hello)
      changed.write(name, changed.indexOf('api.test'), 'latin1')
      expect(readClientHello(changed).kind).toBe('broken')
    }
  })

  it('gives its name, also when it is spread over records of any size', () => {
    expect(readClientHello(hello)).toEqual({ kind: 'hello', serverName: 'api.test' })
    for (const size of [1, 3, 7, 100]) {
      expect(readClientHello(recut(hello, size))).toEqual({ kind: 'hello', serverName: 'api.test' })
    }
  })

  it('asks for more until it is whole', () => {
    for (let length = 1; length < hello.length; length++) {
      expect(readClientHello(hello.subarray(0, length)).kind).toBe('more')
    }
  })

  it('may have no name', async () => {
    expect(readClientHello(await realHello(undefined))).toEqual({
      kind: 'hello',
      serverName: undefined,
    })
  })

  it('is broken with something behind it, with another message, with wrong lengths', () => {
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(hello)
      copy[at] = value
      return copy
    }
    const longer = Buffer.concat([hello.subarray(0, 5), hello.subarray(5), Buffer.from([1])])
    longer.writeUInt16BE(hello.length - 5 + 1, 3)
    expect(readClientHello(longer).kind).toBe('broken')
    expect(readClientHello(changed(5, 2)).kind).toBe('broken')
    expect(readClientHello(changed(1, 2)).kind).toBe('broken')
    expect(readClientHello(changed(43, 255)).kind).toBe('broken')
  })
})

describe('addresses', () => {
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '169.254.169.254',
    '::1',
    '::',
    'fe80::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    'fd00:ec2::254',
    '100.100.100.200',
    '168.63.129.16',
    '255.255.255.255',
    'nonsense',
  ]) {
    it(`${address} is reserved`, () => expect(isReserved(address)).toBe(true))
  }
  for (const address of [
    '93.184.215.14',
    '10.0.0.1',
    '192.168.1.1',
    '2606:4700::1',
    'fd12::1',
    '::ffff:8.8.8.8',
  ]) {
    it(`${address} is not`, () => expect(isReserved(address)).toBe(false))
  }

  it('one reserved address among several refuses the name', async () => {
    const resolve = async () => [
      { address: '93.184.215.14', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]
    const asked = addressesOf({ host: 'a.test', port: 443, reserved: false }, resolve, {
      own: new OwnPorts(),
      privateNetworks: true,
    })
    await expect(asked).rejects.toMatchObject({ code: 'egress_denied' })
  })

  it('one in a private network refuses the name, where those are out of reach', async () => {
    const private4 = [
      { address: '93.184.215.14', family: 4 },
      { address: '10.0.0.7', family: 4 },
    ]
    const asked = (privateNetworks: boolean, reserved = false) =>
      addressesOf({ host: 'a.test', port: 443, reserved }, async () => private4, {
        own: new OwnPorts(),
        privateNetworks,
      })
    await expect(asked(false)).rejects.toMatchObject({ code: 'egress_denied' })
    expect(await asked(true)).toEqual(private4)
    // Where an admin named the address, it is meant.
    expect(await asked(false, true)).toEqual(private4)
  })

  it('a name without addresses is not found', async () => {
    const asked = addressesOf({ host: 'a.test', port: 443, reserved: false }, async () => [], {
      own: new OwnPorts(),
      privateNetworks: true,
    })
    await expect(asked).rejects.toMatchObject({ code: 'upstream_failed' })
  })
})

describe('the authority of a lease', () => {
  const notAfter = new Date(Date.now() + 3_600_000)
  let authority: CertificateAuthority
  beforeAll(async () => {
    authority = await CertificateAuthority.create('lse_1', new Date(), notAfter)
  })

  it('shows no key, however it is printed', async () => {
    const leaf = await authority.leaf('api.test')
    const shown =
      inspect(authority, { depth: 9, showHidden: true }) + inspect(leaf) + JSON.stringify(leaf)
    expect(shown).not.toContain('PRIVATE')
    expect(shown).not.toContain(leaf.key.reveal().split('\n')[1])
  })

  it('signs names and addresses for servers alone, until the lease ends at the latest', async () => {
    const ca = new X509Certificate(authority.pem)
    expect(ca.ca).toBe(true)
    for (const [host, name] of [
      ['api.test', 'DNS:api.test'],
      ['127.0.0.1', 'IP Address:127.0.0.1'],
    ] as const) {
      const leaf = new X509Certificate((await authority.leaf(host)).chain)
      expect(leaf.verify(ca.publicKey)).toBe(true)
      expect(leaf.checkIssued(ca)).toBe(true)
      expect(leaf.ca).toBe(false)
      expect(leaf.subjectAltName).toBe(name)
      expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
      expect(leaf.validToDate.getTime()).toBeLessThanOrEqual(notAfter.getTime())
    }
  })

  it('makes each certificate once, and shares nothing with the authority of another lease', async () => {
    expect(await authority.leaf('api.test')).toBe(await authority.leaf('api.test'))
    const other = await CertificateAuthority.create('lse_2', new Date(), notAfter)
    expect(
      new X509Certificate((await other.leaf('api.test')).chain).verify(
        new X509Certificate(authority.pem).publicKey,
      ),
    ).toBe(false)
  })
})

describe('a head, whatever the parser let through,', () => {
  const channel = {
    scheme: 'https',
    host: 'api.test',
    port: 443,
    route: 'intercept',
    reserved: false,
    authority: 'api.test',
  } as const
  for (const [name, fields] of [
    ['a length and a coding', ['Content-Length', '5', 'Transfer-Encoding', 'chunked']],
    ['two lengths', ['Content-Length', '5', 'Content-Length', '5']],
    ['a length that is no number', ['Content-Length', '5x']],
    ['another coding', ['Transfer-Encoding', 'gzip']],
  ] as const) {
    it(`is refused for ${name}`, () => {
      const rawFields = ['Host', 'api.test', ...fields]
      const raw = { method: 'POST', target: '/', rawFields, upgrade: undefined, ended: false }
      expect(() => readHead({ ...raw, protocol: 'http/1.1' }, channel, 200)).toThrow(Refused)
    })
  }
})

it('fields of an answer keep what they are called by nature, not by accident', () => {
  const raw = ['__proto__', 'x', 'constructor', 'y', 'Set-Cookie', 'a', 'set-cookie', 'b']
  expect(responseFields(fieldRecord(raw))).toEqual([
    '__proto__',
    'x',
    'constructor',
    'y',
    'set-cookie',
    ['a', 'b'],
  ])
})
