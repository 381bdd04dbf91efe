import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Route, Tunnel } from '../../src/proxy/gate.ts'
import { answerOn, headOf, readUntil, until, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.open({ helloMs: 300 })
})
afterAll(() => world.close())
beforeEach(() => world.clear())

const TUNNEL: Tunnel = {
  kind: 'tunnel',
  withoutName: 'refuse',
  otherProtocols: 'refuse',
  reserved: true,
}

function routes(table: Record<string, Route>) {
  world.routing = async (target) => table[target.host] ?? world.defaultRoute(target)
}

async function code(authority: string) {
  const socket = await world.raw()
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  const answer = await answerOn(socket)
  expect(answer?.status).toBe(403)
  return JSON.parse(answer?.body ?? '').code
}

/** True when TLS to the test server came about; else how it failed. */
async function handshake(authority: string, servername: string | undefined, ca: string) {
  const socket = await world.through(authority)
  const tls = connectTls({
    socket,
    ca,
    ...(servername === undefined ? {} : { servername }),
    checkServerIdentity: () => undefined,
  })
  const error = new Promise<Error>((failed) => tls.once('error', failed))
  const opened = await Promise.race([
    once(tls, 'secureConnect').then(() => true),
    error.then(() => false),
    once(tls, 'close').then(() => false),
  ])
  return { tls, opened }
}

describe('CONNECT', () => {
  it('to a host that is not listed gets the refusal of the gate', async () => {
    expect(await code('other.test:443')).toBe('egress_denied')
  })

  for (const [name, host] of [
    ['this machine by name', 'localhost'],
    ['this machine by address', '127.0.0.1'],
    ['this machine by IPv6', '[::1]'],
    ['this machine mapped into IPv6', '[::ffff:127.0.0.1]'],
    ['this machine behind NAT64', '[64:ff9b::7f00:1]'],
    ['the zero address', '0.0.0.0'],
    ['the link', '169.254.10.1'],
    ['the link by IPv6', '[fe80::1]'],
    ['a metadata service', '169.254.169.254'],
    ['a metadata service by IPv6', '[fd00:ec2::254]'],
    ['another metadata service', '100.100.100.200'],
    ['a multicast address', '224.0.0.1'],
  ] as const) {
    it(`to ${name} is refused after resolution unless the gate says it may be`, async () => {
      world.routing = async () => ({ ...TUNNEL, reserved: false })
      expect(await code(`${host}:443`)).toBe('egress_denied')
      expect(world.refusals[0]?.detail).toMatch(/machine|link|metadata/)
    })
  }

  it('to the proxy itself is refused even where loopback is allowed', async () => {
    world.routing = async () => TUNNEL
    expect(await code(`open.test:${world.listener.port}`)).toBe('egress_denied')
    expect(world.refusals[0]?.detail).toContain('proxy itself')
  })

  it('to a host that cannot be reached is a 502 before any 200', async () => {
    const socket = await world.raw()
    socket.write('CONNECT open.test:1 HTTP/1.1\r\nHost: open.test:1\r\n\r\n')
    expect((await answerOn(socket))?.status).toBe(502)
  })
})

describe('a tunnel', () => {
  it('to an address is refused when the ClientHello names an intercepted host, and says so', async () => {
    const { tls } = await handshake(`127.0.0.1:${world.api.port}`, 'api.test', world.listener.ca)
    tls.write('GET / HTTP/1.1\r\nHost: api.test\r\n\r\n')
    const answer = await answerOn(tls)
    expect(answer?.status).toBe(403)
    expect(JSON.parse(answer?.body ?? '').code).toBe('request_malformed')
    expect(world.routed.map(({ host, from }) => [host, from])).toEqual([
      ['127.0.0.1', 'connect'],
      ['api.test', 'name'],
    ])
    expect(world.judged).toEqual([])
    expect(world.reached).toBe(0)
  })

  it('under another name is refused as well', async () => {
    const { tls } = await handshake(`open.test:${world.api.port}`, 'api.test', world.listener.ca)
    tls.write('GET / HTTP/1.1\r\nHost: open.test\r\n\r\n')
    expect((await answerOn(tls))?.status).toBe(403)
    expect(world.reached).toBe(0)
  })

  it('is cut when the ClientHello names a refused host', async () => {
    const { opened } = await handshake(
      `open.test:${world.api.port}`,
      'other.test',
      world.listener.ca,
    )
    expect(opened).toBe(false)
    expect(world.reached).toBe(0)
  })

  it('is cut when the ClientHello names nobody, where the gate wants a name', async () => {
    const { opened } = await handshake(
      `open.test:${world.api.port}`,
      undefined,
      world.upstreamCa.pem,
    )
    expect(opened).toBe(false)
    expect(world.refusals).toMatchObject([{ code: 'egress_denied' }])
  })

  it('passes a ClientHello without a name where the gate does not mind', async () => {
    routes({ 'open.test': { ...TUNNEL, withoutName: 'pass' } })
    const { opened } = await handshake(
      `open.test:${world.api.port}`,
      undefined,
      world.upstreamCa.pem,
    )
    expect(opened).toBe(true)
  })

  for (const [name, bytes] of [
    ['an unknown protocol', 'SSH-2.0-x\r\n'],
    [
      'a name hidden in two server_name extensions or the like',
      '\x16\x03\x01\x00\x04\x01\x00\x00\x00',
    ],
    ['a record that is no handshake', '\x16\x03\x01\x00\x00'],
    ['TLS 1.0 by an old greeting', '\x80\x2e\x01\x03\x01'],
    ['a method no server should know', 'get / HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['an empty line before the method', '\r\nGET / HTTP/1.1\r\nHost: api.test\r\n\r\n'],
  ] as const) {
    it(`is cut for ${name}`, async () => {
      const socket = await world.through(`open.test:${world.echo.port}`)
      socket.write(bytes, 'latin1')
      expect(await readUntil(socket)).toBe('')
      expect(world.refusals).toMatchObject([{ code: 'egress_denied' }])
    })
  }

  it('is cut for a client that says nothing, or half a ClientHello', async () => {
    const silent = await world.through(`open.test:${world.echo.port}`)
    const half = await world.through(`open.test:${world.echo.port}`)
    half.write('\x16\x03\x01', 'latin1')
    expect(await readUntil(silent)).toBe('')
    expect(await readUntil(half)).toBe('')
  })

  it('passes an unknown protocol both ways where the gate lets it, whoever speaks first', async () => {
    routes({ 'open.test': { ...TUNNEL, otherProtocols: 'pass' } })
    const socket = await world.through(`open.test:${world.echo.port}`)
    expect(await readUntil(socket, (text) => text.includes('\n'))).toBe('hello\n')
    socket.end('EHLO me\r\n') // half-closed: the answer still comes
    expect(await readUntil(socket)).toBe('EHLO me\r\n')
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]).toMatchObject({ kind: 'tunnel', end: 'complete', bytesUp: 9 })
  })

  it('still reads the name of a ClientHello that comes late where anything may pass', async () => {
    routes({ 'open.test': { ...TUNNEL, otherProtocols: 'pass' } })
    const socket = await world.through(`open.test:${world.echo.port}`)
    expect(await readUntil(socket, (text) => text.includes('\n'))).toBe('hello\n')
    const tls = connectTls({ socket, servername: 'other.test', ca: world.listener.ca })
    tls.on('error', () => {})
    await new Promise((closed) => tls.once('close', closed))
    expect(world.routed.at(-1)).toMatchObject({ host: 'other.test', from: 'name' })
  })

  it('passes TLS untouched: the client sees the certificate of the server', async () => {
    const { tls, opened } = await handshake(
      `open.test:${world.api.port}`,
      'open.test',
      world.upstreamCa.pem,
    )
    expect(opened).toBe(true)
    tls.write('GET /untouched HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n')
    expect((await answerOn(tls))?.status).toBe(200)
    expect(world.judged).toEqual([])
    expect(world.api.arrived[0]?.fields).toEqual(['Host', 'open.test', 'Connection', 'close'])
  })

  it('of plain HTTP is parsed and judged all the same', async () => {
    world.judging = async () => ({ kind: 'allow' })
    const socket = await world.through(`open.test:${world.plain.port}`)
    socket.write(`GET /plain HTTP/1.1\r\nHost: open.test:${world.plain.port}\r\n\r\n`)
    expect((await answerOn(socket))?.status).toBe(200)
    expect(world.judged).toMatchObject([{ route: 'tunnel', scheme: 'http', host: 'open.test' }])
  })

  it('of plain HTTP is refused when Host names an intercepted host', async () => {
    const socket = await world.through(`127.0.0.1:${world.plain.port}`)
    socket.write('GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n')
    expect((await answerOn(socket))?.status).toBe(403)
    expect(world.reached).toBe(0)
  })
})

it('an intercepted host is refused when the ClientHello names another one', async () => {
  const { tls } = await handshake('api.test:443', 'other.test', world.listener.ca)
  tls.write('GET / HTTP/1.1\r\nHost: api.test\r\n\r\n')
  expect((await answerOn(tls))?.status).toBe(403)
  expect(world.reached).toBe(0)
})

it('an intercepted host speaks nothing but TLS and HTTP', async () => {
  const socket = await world.through('api.test:443')
  socket.write('SSH-2.0-x\r\n')
  expect(await headOf(socket)).toBe('')
})
