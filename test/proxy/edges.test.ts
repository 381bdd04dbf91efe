import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answerOn, headOf, readUntil, until, World } from './world.ts'

let world: World
/** Says what a test wants said, byte by byte, to whoever asks. */
let says: (socket: Socket, asked: string) => void
const open = new Set<Socket>()
const upstream = createServer((socket) => {
  open.add(socket)
  let asked = ''
  socket.on('error', () => {}).once('close', () => open.delete(socket))
  socket.on('data', (piece) => {
    asked += piece.toString('latin1')
    if (!asked.includes('\r\n\r\n')) return
    says(socket, asked)
    asked = ''
  })
})
beforeAll(async () => {
  world = await World.open()
  await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done))
})
afterAll(async () => {
  await world.close()
  upstream.close()
})
beforeEach(() => {
  world.clear()
  const { port } = upstream.address() as AddressInfo
  world.judging = async () =>
    world.allow({ upstream: { origin: `http://api.test:${port}`, reserved: true } })
})
afterEach(() => {
  for (const socket of open) socket.destroy()
})

const ask = (method = 'GET') => `${method} /x HTTP/1.1\r\nHost: api.test\r\n\r\n`
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine'

async function session() {
  const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
  return connectHttp2('https://api.test', { createConnection: () => socket })
}

describe('a client that sends more than its request', () => {
  it('hears what became of the request, and then the connection ends', async () => {
    says = (socket) => setTimeout(() => socket.write(OK), 20)
    const socket = await world.tls()
    socket.write('POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\n\r\nhello')
    // It was carried out: to call it refused would have the client try again.
    expect(await readUntil(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close[\s\S]*fine$/i)
  })
})

describe('an upstream that cannot be believed', () => {
  for (const [name, answer] of [
    ['with two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nfine'],
    [
      'with a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n',
    ],
    [
      'that switches protocols unasked',
      'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    ],
    ['that does not speak HTTP', 'SSH-2.0-x\r\n'],
    ['whose head never ends', `HTTP/1.1 200 OK\r\n${'x-a: 1\r\n'.repeat(20_000)}`],
  ] as const) {
    it(`${name} is a 502 and its connection ends`, async () => {
      says = (socket) => socket.write(answer)
      const socket = await world.tls()
      socket.write(ask())
      const given = await answerOn(socket)
      expect(given?.status).toBe(502)
      expect(JSON.parse(given?.body ?? '').code).toBe('upstream_failed')
      await until('the connection upstream is gone', () => open.size === 0)
    })
  }

  it('and sends more than it was asked for has that thrown away', async () => {
    says = (socket) => socket.write(OK + OK.replace('fine', 'evil'))
    const socket = await world.tls()
    socket.write(ask())
    expect((await answerOn(socket))?.body).toBe('fine')
    says = (again) => again.write(OK.replace('fine', 'next'))
    socket.write(ask())
    expect((await answerOn(socket))?.body).toBe('next')
  })
})

describe('interim answers', () => {
  it('are not taken for the answer, whatever they are', async () => {
    says = (socket) =>
      socket.write(
        `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nset-cookie: a=1\r\n\r\n${OK}`,
      )
    const socket = await world.tls()
    socket.write(ask())
    const answer = await answerOn(socket)
    expect(answer?.status).toBe(200)
    expect(answer?.head).not.toMatch(/link|set-cookie|HTTP\/1\.1 10/i)
    expect(answer?.body).toBe('fine')
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]).toMatchObject({ status: 200, bytesDown: 4, end: 'complete' })
  })
})

describe('an answer without a body', () => {
  for (const [name, method, head] of [
    ['to HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n'],
    ['to HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'],
    [
      'of 304 with a length',
      'GET',
      'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 4000\r\n\r\n',
    ],
    ['of 204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['of 205', 'GET', 'HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n'],
  ] as const) {
    it(`${name} ends with its head, and the connections go on`, async () => {
      says = (socket) => socket.write(head)
      const socket = await world.tls()
      socket.write(ask(method))
      const given = await headOf(socket)
      expect(given.split(' ')[1]).toBe(head.split(' ')[1])
      if (head.includes('4000')) expect(given).toMatch(/content-length: 4000/i)
      says = (again) => again.write(OK)
      socket.write(ask())
      expect((await answerOn(socket))?.body).toBe('fine')
      await until('the outcomes', () => world.outcomes.length === 2)
      expect(world.outcomes.map(({ end }) => end)).toEqual(['complete', 'complete'])
    })

    it(`${name} does so over HTTP/2`, async () => {
      says = (socket) => socket.write(head)
      const client = await session()
      const stream = client.request({ ':path': '/x', ':method': method })
      let text = ''
      stream.on('data', (piece) => (text += piece))
      const [fields] = await once(stream, 'response')
      await once(stream, 'close')
      expect([String(fields[':status']), text, stream.rstCode]).toEqual([head.split(' ')[1], '', 0])
      client.destroy()
    })
  }
})

describe('a body that is broken', () => {
  for (const [name, body] of [
    ['in the midst', '5\r\nhello\r\nZZ\r\n'],
    ['by its end', '5\r\nhel'],
  ] as const) {
    it(`${name} is refused, and the connection ends with it`, async () => {
      const limits = { kind: 'inspect', limit: 100 } as const
      world.judging = async ({ body: whole }) => (whole ? world.allow() : limits)
      const socket = await world.tls()
      socket.write('POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n')
      socket.write(body)
      if (name === 'by its end') socket.end()
      expect(await readUntil(socket)).toMatch(/^HTTP\/1\.1 403 [\s\S]*connection: close/i)
      expect(world.reached).toBe(0)
    })
  }
})

it('what is left of a refused body may be broken: it is not refused a second time', async () => {
  for (const rest of ['', 'ZZ\r\n']) {
    world.clear()
    world.judging = async () => ({
      kind: 'refuse',
      refusal: { status: 403, fields: [], body: 'no' },
    })
    const socket = await world.tls()
    socket.write('POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect((await answerOn(socket))?.body).toBe('no')
    const cut = once(socket.resume(), 'close')
    socket.end(rest)
    await cut
    expect(world.refusals).toEqual([])
  }
})

describe('a client that ends its side', () => {
  for (const [name, host, connected] of [
    ['over TLS', 'api.test', () => world.tls()],
    ['in the clear', 'plain.test', () => world.through('plain.test:80')],
  ] as const) {
    // One that was closed looks the same: its request must not be carried out for nobody.
    it(`${name} is taken to be gone, and its request with it`, async () => {
      let asked = 0
      says = () => asked++
      const socket = await connected()
      socket.write(ask().replace('api.test', host))
      await until('the request upstream', () => asked === 1)
      const cut = once(socket.resume(), 'close')
      socket.end()
      await until('nothing is open upstream', () => open.size === 0)
      await until('the outcome', () => world.outcomes.length === 1)
      expect(world.outcomes[0]).toMatchObject({ status: undefined, end: 'client_gone' })
      await cut
    })

    it(`${name} before the decision sends nothing upstream`, async () => {
      const asked: string[] = []
      says = (socket, text) => asked.push(text) && socket.write(OK)
      const allow = await world.judging(world.judged[0] as never, AbortSignal.abort())
      let signal: AbortSignal | undefined
      let decide = () => {}
      world.judging = (_request, given) => {
        signal = given
        return new Promise((resolve) => (decide = () => resolve(allow)))
      }
      const socket = await connected()
      const cut = once(socket.resume(), 'close')
      socket.end(ask().replace('api.test', host))
      await until('the end is seen', () => signal?.aborted === true)
      decide()
      await cut
      world.judging = async () => allow
      const next = await connected()
      next.write(ask().replace('api.test', host).replace('/x', '/next'))
      expect((await answerOn(next))?.status).toBe(200)
      expect(asked.map((text) => text.split(' ')[1])).toEqual(['/next'])
    })
  }
})

describe('a slow reader', () => {
  it('of a small answer holds nobody else up, and gets all of it', async () => {
    const size = 20_000_000
    says = (socket, asked) => {
      if (!asked.includes('/large')) return socket.write(OK)
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      return socket.write(Buffer.alloc(size, 'd'))
    }
    const slow = await world.tls()
    slow.write(ask().replace('/x', '/large'))
    await headOf(slow)
    for (let round = 0; round < 20; round++) {
      const quick = await world.tls()
      quick.write(ask())
      expect((await answerOn(quick))?.body).toBe('fine')
      quick.destroy()
    }
    let read = 0
    await readUntil(slow, (text) => {
      read = text.length
      return read === size
    })
    expect(read).toBe(size)
  })
})
