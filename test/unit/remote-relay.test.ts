import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { upgraderTo } from '../../src/client/server-upgrade.ts'
import { ProxyRelay } from '../../src/daemon/serve/proxy-relay.ts'
import { openRelay, type Relay } from '../../src/exec/relay.ts'
import { writeRelayFiles } from '../../src/exec/relay-files.ts'
import type { LeaseId } from '../../src/lib/ids.ts'
import { Secret } from '../../src/lib/secret.ts'
import { until } from '../fixtures/broker.ts'
import { FakeServer, HANDLE } from './remote-fake-server.ts'

const LEASE = { id: 'lse_01m7yqwkgywv3ze5n3wze3myq6' as LeaseId }
const OTHER = { id: 'lse_01m7yqwkgywv3ze5n3wze3myq7' as LeaseId }
const MIB = 1024 * 1024

/** What stands for the lease's proxy: tests say what it does with a connection. */
let proxy: Server
let take: (socket: Socket) => void
const taken: Socket[] = []
let fake: FakeServer
let server: ProxyRelay
const relays: Relay[] = []

const portOf = (at: Server) => (at.address() as AddressInfo).port

beforeEach(async () => {
  taken.length = 0
  take = (socket) => socket.pipe(socket)
  proxy = createServer({ allowHalfOpen: true }, (socket) => {
    taken.push(socket)
    socket.on('error', () => {})
    take(socket)
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  fake = await FakeServer.start()
  relaying({})
})
afterEach(async () => {
  for (const relay of relays.splice(0)) relay.close()
  server.close()
  for (const socket of taken) socket.destroy()
  proxy.close()
  await fake.close()
})

/** The server's side, as it stands behind an upgrade that was authenticated. */
function relaying(limits: ConstructorParameters<typeof ProxyRelay>[0]['limits']): void {
  server = new ProxyRelay({
    portOf: (lease) => (lease === LEASE.id || lease === OTHER.id ? portOf(proxy) : undefined),
    ...(limits && { limits }),
  })
  fake.upgrade = ({ url = '' }: IncomingMessage, socket, head) => {
    server.relay({ id: (url.split('/')[3] ?? '') as LeaseId }, socket, head)
    return false
  }
}

async function relayTo(lease: { readonly id: LeaseId } = LEASE): Promise<Relay> {
  const upgrade = upgraderTo({ url: fake.url, ca: fake.ca }, {})
  const relay = await openRelay(upgrade, lease, new Secret(HANDLE))
  relays.push(relay)
  return relay
}

async function client(relay: Relay, allowHalfOpen = true): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: relay.port, allowHalfOpen })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function all(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of socket) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

/** What a program at the proxy's port is answered. */
async function answerTo(relay: Relay): Promise<string> {
  const socket = await client(relay)
  socket.write('CONNECT api.example:443 HTTP/1.1\r\n\r\n')
  return (await all(socket)).toString()
}

describe('a relayed connection is refused', () => {
  it('when the lease has no proxy', async () => {
    const relay = await relayTo({ id: 'lse_01m7yqwkgywv3ze5n3wze3myq8' })
    expect(await answerTo(relay)).toMatch(/^HTTP\/1\.1 502 [\s\S]*could not be reached\n$/)
    expect(taken).toEqual([])
  })

  it('when the lease has ended, in words that a program shows', async () => {
    fake.upgrade = (_request, socket) => {
      const body = JSON.stringify({ error: { code: 'lease_ended', message: 'm', hint: 'h' } })
      socket.end(`HTTP/1.1 410 Gone\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      return false
    }
    expect(await answerTo(await relayTo())).toMatch(
      /^HTTP\/1\.1 403 [\s\S]*lease of this task has ended/,
    )
  })

  it('when the server is not there', async () => {
    const relay = await relayTo()
    await fake.stop()
    expect(await answerTo(relay)).toMatch(/^HTTP\/1\.1 502 /)
  })

  it('when the lease’s proxy does not take it', async () => {
    const relay = await relayTo()
    const port = portOf(proxy)
    proxy.close()
    await until('it is closed', () => !proxy.listening)
    server = new ProxyRelay({ portOf: () => port })
    expect(await answerTo(relay)).toMatch(/^HTTP\/1\.1 502 /)
    expect(server.open).toBe(0)
  })

  it('when the lease has too many of them, and another lease is not the worse for it', async () => {
    relaying({ most: 2 })
    const relay = await relayTo()
    const held = [await client(relay), await client(relay)]
    for (const socket of held) {
      socket.write('x')
      await once(socket, 'data')
    }
    expect(await answerTo(relay)).toMatch(/^HTTP\/1\.1 502 /)
    const another = await client(await relayTo(OTHER))
    another.write('y')
    expect(String((await once(another, 'data'))[0])).toBe('y')
    held[0]?.destroy()
    await until('one is free', () => server.open === 2)
    const again = await client(relay)
    again.write('z')
    expect(String((await once(again, 'data'))[0])).toBe('z')
  })

  it('after the server closed', async () => {
    const relay = await relayTo()
    server.close()
    expect(await answerTo(relay)).toMatch(/^HTTP\/1\.1 502 /)
  })
})

describe('a relayed connection', () => {
  it('shows the lease’s credential to the server and to nobody else', async () => {
    const relay = await relayTo()
    const socket = await client(relay)
    socket.end('hello')
    expect(String(await all(socket))).toBe('hello')
    expect(fake.arrived).toEqual([
      {
        method: 'POST',
        path: `/v1/leases/${LEASE.id}/proxy`,
        authorization: `Bearer ${HANDLE}`,
        body: '',
      },
    ])
  })

  it('carries every byte both ways, however many', async () => {
    const bytes = Buffer.alloc(24 * MIB)
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at)
    const socket = await client(await relayTo())
    socket.end(bytes)
    expect((await all(socket)).equals(bytes)).toBe(true)
  })

  it('is half-closed by the program, and still answered', async () => {
    take = (socket) => {
      let text = ''
      socket.on('data', (piece) => {
        text += piece
      })
      socket.on('end', () => socket.end(`all of ${text}`))
    }
    const socket = await client(await relayTo())
    socket.end('this')
    expect(String(await all(socket))).toBe('all of this')
  })

  it('is half-closed by the other end, and still heard', async () => {
    let heard = ''
    take = (socket) => {
      socket.end('bye')
      socket.on('data', (piece) => {
        heard += piece
      })
    }
    const socket = await client(await relayTo())
    expect(String(await all(socket))).toBe('bye')
    socket.end('one more word')
    await until('it is heard', () => heard === 'one more word')
  })

  it('is no faster than who reads it: the rest waits where it was made', async () => {
    let sent = 0
    take = (socket) => {
      const piece = Buffer.alloc(MIB)
      const fill = () => {
        while (sent < 256 && socket.write(piece)) sent++
      }
      socket.on('drain', () => {
        sent++
        fill()
      })
      fill()
    }
    const socket = await client(await relayTo())
    socket.pause()
    let before = -1
    // Until nothing moves any more, which is soon after the buffers on the way are full.
    await until('it stands still', async () => {
      const still = sent === before && sent > 0
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 300))
      return still
    })
    expect(sent).toBeLessThan(64)
    socket.resume()
    await until('it goes on', () => sent > before + 16)
  })

  it('is cut within 100 ms of the lease’s end, at both ends, and those of other leases are not', async () => {
    const mine = await client(await relayTo(), false)
    const theirs = await client(await relayTo(OTHER))
    for (const socket of [mine, theirs]) {
      socket.write('x')
      await once(socket, 'data')
    }
    const closed = once(mine, 'close')
    const began = performance.now()
    server.ending(LEASE)
    mine.resume()
    await once(taken[0] as Socket, 'close')
    const atServer = performance.now() - began
    await closed
    expect(atServer).toBeLessThan(100)
    expect(mine.destroyed).toBe(true)
    theirs.write('y')
    expect(String((await once(theirs, 'data'))[0])).toBe('y')
    await until('nothing of it is held', () => server.open === 1)
  })

  it('is cut when the task is over', async () => {
    const relay = await relayTo()
    const socket = await client(relay, false)
    socket.write('x')
    await once(socket, 'data')
    const closed = once(socket, 'close')
    socket.resume()
    relay.close()
    await closed
    await until('the server has let go too', () => server.open === 0)
    await expect(client(relay)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('the certificates of a relayed proxy', () => {
  it('are in a folder of this process alone, with the roots that are trusted here', () => {
    const { caFile, bundleFile } = writeRelayFiles({ run: '/nonexistent' }, fake.ca)
    const folder = dirname(caFile)
    expect(readdirSync(folder).sort()).toEqual(['bundle.pem', 'ca.pem'])
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(bundleFile).mode & 0o777).toBe(0o600)
    const bundle = readFileSync(bundleFile, 'utf8')
    expect(bundle.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(50)
    expect(bundle).toContain(fake.ca.trim().split('\n')[1])
    expect(existsSync(join(folder, '..'))).toBe(true)
  })
})
