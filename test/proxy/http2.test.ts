import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Http2Upstream, http2Upstream } from './http2-upstream.ts'
import { answerOn, headOf, PHANTOM, REAL_KEY, readUntil, until, World } from './world.ts'

let world: World
let upstream: Http2Upstream
const sessions: ClientHttp2Session[] = []
beforeAll(async () => {
  world = await World.open({ bodyIdleMs: 5000 })
  upstream = await http2Upstream(world.upstreamCa, 'api.test')
})
afterAll(async () => {
  await world.close()
  upstream.close()
})
beforeEach(() => {
  world.clear()
  upstream.clear()
  world.judging = async () => world.allow({ upstream: there() })
})
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy()
})

const there = () => ({
  origin: `https://api.test:${upstream.port}`,
  ca: world.upstreamCa.pem,
  reserved: true,
})

async function session(): Promise<ClientHttp2Session> {
  const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
  const opened = connectHttp2('https://api.test', { createConnection: () => socket })
  opened.on('error', () => {})
  sessions.push(opened)
  return opened
}

async function call(fields: Record<string, string>, end = false) {
  const stream = (await session()).request({ ':path': '/x', ...fields }, { endStream: end })
  const heard = { text: '', trailers: undefined as Record<string, unknown> | undefined }
  stream.on('data', (piece) => (heard.text += piece))
  stream.on('trailers', (trailers) => (heard.trailers = trailers))
  stream.on('error', () => {})
  return { stream, heard }
}

const GRPC = { ':method': 'POST', ':path': '/pkg.Service/Method', te: 'trailers' }
const GET = 'GET /x HTTP/1.1\r\nHost: api.test\r\nX-Phantom: a\r\n\r\n'

describe('an upstream that takes HTTP/2', () => {
  it('and whose certificate nobody vouches for gets nothing', async () => {
    world.judging = async () => world.allow({ upstream: { ...there(), ca: '' } })
    const socket = await world.tls()
    socket.write(GET)
    expect((await answerOn(socket))?.status).toBe(502)
    expect(upstream.arrived).toEqual([])
  })

  it('gets no request that was refused, also on the open connection of one that was not', async () => {
    upstream.answer = ({ stream }) => stream.respond({ ':status': 204 }, { endStream: true })
    const client = await session()
    const ask = async (path: string) => {
      const [head] = await once(client.request({ ':path': path }), 'response')
      return head[':status']
    }
    world.judging = async ({ path }) => {
      if (path === '/no') throw new Error('no')
      return world.allow({ upstream: there() })
    }
    expect([await ask('/a'), await ask('/no'), await ask('/b')]).toEqual([204, 403, 204])
    expect(upstream.arrived.map(({ fields }) => fields[':path'])).toEqual(['/a', '/b'])
  })

  it('gets what was judged, with the real credential, the phantom nowhere', async () => {
    upstream.answer = ({ stream }) =>
      stream.on('end', () => stream.respond({}, { endStream: true }))
    const fields = { 'x-phantom': PHANTOM, 'x-a': 'one', cookie: 'a=1; b=2', 'broker-lease': 'x' }
    const { stream } = await call({ ':method': 'PUT', ':path': '/a%20b?c=d', ...fields })
    stream.end('hello')
    await once(stream, 'close')
    const [arrived] = upstream.arrived
    expect(arrived?.body).toBe('hello')
    expect(Object.fromEntries(Object.entries(arrived?.fields ?? {}))).toEqual({
      ':method': 'PUT',
      ':scheme': 'https',
      ':authority': `api.test:${upstream.port}`,
      ':path': '/a%20b?c=d',
      'x-a': 'one',
      cookie: 'a=1; b=2',
      authorization: `Bearer ${REAL_KEY}`,
    })
    expect(JSON.stringify(arrived?.fields)).not.toContain(PHANTOM)
  })

  it('gets what an HTTP/1.1 client sends, length and all', async () => {
    upstream.answer = ({ stream }) =>
      stream.on('end', () => stream.respond({}, { endStream: true }))
    const socket = await world.tls()
    socket.write(
      'POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\nTE: trailers\r\n\r\nhello',
    )
    expect(await headOf(socket)).toMatch(/^HTTP\/1\.1 200 /)
    expect(upstream.arrived[0]?.body).toBe('hello')
    expect(upstream.arrived[0]?.fields['content-length']).toBe('5')
    expect(upstream.arrived[0]?.fields).not.toHaveProperty('te')
  })

  it('gets many requests on one connection', async () => {
    upstream.answer = ({ stream }) =>
      stream.on('end', () => stream.respond({}, { endStream: true }))
    const before = upstream.connections
    const client = await session()
    const ask = async () => {
      const stream = client.request({ ':path': '/x', ':method': 'POST' })
      stream.end('hello')
      await once(stream, 'response')
    }
    await Promise.all(Array.from({ length: 50 }, ask))
    expect(upstream.arrived).toHaveLength(50)
    expect(upstream.connections - before).toBeLessThanOrEqual(1)
  })

  it('still gets a WebSocket over HTTP/1.1', async () => {
    const socket = await world.tls()
    socket.write(
      'GET /socket HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    expect(await readUntil(socket)).toMatch(/^HTTP\/1\.1 101 [\s\S]*hi$/)
  })
})

describe('a gRPC call', () => {
  it('streams both ways at once and ends with its trailers', async () => {
    upstream.answer = ({ stream }) => {
      stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('data', (piece) => stream.write(`heard ${piece};`))
      stream.on('end', () => stream.end())
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': '0', 'broker-decision': 'deny' }),
      )
    }
    const { stream, heard } = await call(GRPC)
    for (const word of ['one', 'two']) {
      stream.write(word)
      await until(`the answer to ${word}`, () => heard.text.endsWith(`heard ${word};`))
    }
    stream.end()
    await once(stream, 'close')
    expect(heard.text).toBe('heard one;heard two;')
    expect(Object.entries(heard.trailers ?? {})).toEqual([['grpc-status', '0']])
    expect(upstream.arrived[0]?.fields['te']).toBe('trailers')
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]).toMatchObject({ bytesUp: 6, bytesDown: 20, end: 'complete' })
  })

  it('that fails at once has its status in the head', async () => {
    upstream.answer = ({ stream }) =>
      stream.respond(
        { 'content-type': 'application/grpc', 'grpc-status': '12' },
        { endStream: true },
      )
    const { stream } = await call(GRPC)
    const [head] = await once(stream, 'response')
    expect(head['grpc-status']).toBe('12')
    stream.end()
    await once(stream, 'close')
    expect(stream.rstCode).toBe(0)
  })

  it('of a client that gives up is given up upstream', async () => {
    upstream.answer = ({ stream }) => stream.respond()
    const { stream } = await call(GRPC)
    await once(stream, 'response')
    const closed = once(upstream.arrived[0]?.stream ?? stream, 'close')
    stream.close(8)
    await closed
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]?.end).toBe('client_gone')
    expect(upstream.sessions.size).toBe(1) // the connection is kept
  })
})

describe('trailers of a request', () => {
  it('do not go upstream: they come after the judgement', async () => {
    upstream.answer = ({ stream }) =>
      stream.on('end', () => stream.respond({}, { endStream: true }))
    const stream = (await session()).request(
      { ':path': '/x', ':method': 'POST' },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ authorization: 'Bearer other' }))
    stream.end('hello')
    await once(stream.resume(), 'close')
    const socket = await world.tls()
    socket.write(
      'POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    )
    await headOf(socket)
    expect(upstream.arrived.map(({ body, trailers }) => [body, trailers])).toEqual([
      ['hello', undefined],
      ['hello', undefined],
    ])
    expect(JSON.stringify(upstream.arrived.map(({ fields }) => fields))).not.toMatch(/other|x-sum/)
  })
})

describe('an answer over HTTP/2', () => {
  const http1 = async (raw: string) => {
    const socket = await world.tls()
    socket.write(raw)
    return socket
  }

  it('that breaks off is seen to break off, by clients of both versions', async () => {
    upstream.answer = ({ stream }) => {
      stream.respond({ 'content-length': '100' })
      stream.write('half', () => stream.close(2))
    }
    expect(await readUntil(await http1(GET))).toMatch(/content-length: 100[\s\S]*half$/i)
    const { stream } = await call({}, true)
    await new Promise((closed) => stream.once('close', closed))
    expect(stream.rstCode).toBe(2)
    await until('both outcomes', () => world.outcomes.length === 2)
    expect(world.outcomes.map(({ end }) => end)).toEqual(['upstream_failed', 'upstream_failed'])
  })

  it('that is shorter than it says is not passed off as whole', async () => {
    upstream.answer = ({ stream }) => {
      stream.respond({ 'content-length': '100' })
      stream.end('half')
    }
    const text = await readUntil(await http1(GET))
    expect(text).toMatch(/half$/)
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]?.end).toBe('upstream_failed')
  })

  it('whose end comes later than its last byte is not held back until then', async () => {
    let end = () => {}
    upstream.answer = ({ stream }) => {
      stream.respond({ 'content-length': '4' })
      stream.write('body')
      end = () => stream.end()
    }
    const socket = await http1(GET)
    const text = await readUntil(socket, (sofar) => sofar.endsWith('body'))
    expect(text).toMatch(/\r\n\r\nbody$/)
    end()
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]).toMatchObject({ end: 'complete', bytesDown: 4 })
  })

  it('that is a reset is a 502', async () => {
    upstream.answer = ({ stream }) => stream.close(2)
    expect((await answerOn(await http1(GET)))?.status).toBe(502)
  })

  it('carries its trailers to HTTP/1.1 as well', async () => {
    upstream.answer = ({ stream }) => {
      stream.respond({}, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5' }))
      stream.end('body')
    }
    const text = await readUntil(await http1(GET), (sofar) =>
      /\r\n0\r\n[\s\S]*\r\n\r\n$/.test(sofar),
    )
    expect(text).toMatch(/4\r\nbody\r\n0\r\ngrpc-status: 5\r\n\r\n$/)
  })

  it('has its fields as they are, several of one name too, and none of ours', async () => {
    upstream.answer = ({ stream }) => {
      stream.respond(
        { 'set-cookie': ['a=1', 'b=2'], 'broker-decision': 'deny', 'alt-svc': 'h3=":443"' },
        { endStream: true },
      )
    }
    const head = await headOf(await http1(GET))
    expect(head).toMatch(/set-cookie: a=1\r\nset-cookie: b=2/i)
    expect(head).not.toMatch(/broker-decision|alt-svc|:status/i)
  })

  it('before the body was through ends the upload, and the session goes on', async () => {
    upstream.reading = false
    upstream.answer = ({ stream }) => {
      stream.respond({ ':status': 413 })
      stream.end('too much')
    }
    const client = await session()
    const stream = client.request({ ':path': '/x', ':method': 'POST' })
    stream.on('error', () => {})
    stream.write(Buffer.alloc(500_000, 'u'))
    let text = ''
    stream.on('data', (piece) => (text += piece))
    const [head] = await once(stream, 'response')
    expect(head[':status']).toBe(413)
    await until('the upload is called off', () => stream.aborted)
    expect([text, stream.rstCode]).toEqual(['too much', 0])
    upstream.answer = ({ stream }) => stream.respond({ ':status': 204 }, { endStream: true })
    const [next] = await once(client.request({ ':path': '/next' }), 'response')
    expect(next[':status']).toBe(204)
  })
})

describe('an HTTP/2 connection upstream', () => {
  it('that the server winds up is replaced, and no request is lost', async () => {
    upstream.answer = ({ stream }) => stream.respond({ ':status': 204 }, { endStream: true })
    const client = await session()
    for (let round = 0; round < 5; round++) {
      const [head] = await once(client.request({ ':path': `/${round}` }), 'response')
      expect(head[':status']).toBe(204)
      for (const open of upstream.sessions) open.close()
      await until('the session is closed', () => upstream.sessions.size === 0)
    }
    expect(upstream.arrived).toHaveLength(5)
  })

  it('that is cut fails what is under way on it, and nothing else', async () => {
    upstream.answer = ({ stream, fields }) => {
      if (fields[':path'] === '/hang') return
      stream.respond({ ':status': 204 }, { endStream: true })
    }
    const client = await session()
    const hanging = ['/hang', '/hang'].map((path) =>
      once(client.request({ ':path': path }), 'response'),
    )
    await until('both', () => upstream.arrived.length === 2)
    for (const open of upstream.sessions) open.destroy()
    for (const [head] of await Promise.all(hanging)) expect(head[':status']).toBe(502)
    const [next] = await once(client.request({ ':path': '/next' }), 'response')
    expect(next[':status']).toBe(204)
    // A request that may have been acted on is never sent a second time.
    expect(upstream.arrived.map(({ fields }) => fields[':path'])).toEqual([
      '/hang',
      '/hang',
      '/next',
    ])
  })

  it('holds an upload back that the server does not read', async () => {
    upstream.reading = false
    upstream.answer = () => {}
    const { stream } = await call({ ':method': 'POST' })
    let sent = 0
    const piece = Buffer.alloc(65_536, 'u')
    const pour = () => {
      while (sent < 64_000_000 && !stream.destroyed) {
        sent += piece.length
        if (!stream.write(piece)) return stream.once('drain', pour)
      }
      return undefined
    }
    pour()
    await until('the stream', () => upstream.arrived.length === 1)
    let before = -1
    await until('it stands still', () => {
      const still = sent === before
      before = sent
      return still
    })
    expect(sent).toBeLessThan(8_000_000)
  })

  it('holds a download back that the client does not read, and other streams go on', async () => {
    let written = 0
    const piece = Buffer.alloc(65_536, 'd')
    upstream.answer = ({ stream, fields }) => {
      if (fields[':path'] !== '/down')
        return stream.respond({ ':status': 204 }, { endStream: true })
      stream.respond()
      const more = () => {
        while (written < 64_000_000 && !stream.destroyed) {
          written += piece.length
          if (!stream.write(piece)) return stream.once('drain', more)
        }
        return stream.end()
      }
      more()
      return undefined
    }
    const slow = await world.tls()
    slow.write('GET /down HTTP/1.1\r\nHost: api.test\r\n\r\n')
    let before = -1
    await until('it stands still', () => {
      const still = written > 0 && written === before
      before = written
      return still
    })
    expect(written).toBeLessThan(16_000_000)
    const other = await world.tls()
    other.write('GET /other HTTP/1.1\r\nHost: api.test\r\n\r\n')
    expect(await headOf(other)).toMatch(/^HTTP\/1\.1 204/)
    let read = 0
    slow.on('data', (bytes) => (read += bytes.length))
    await until('all of it', () => read > 64_000_000, 30_000)
  })

  it('is cut within 100 ms when the lease ends', async () => {
    const own = await World.open()
    own.upstreamCa = world.upstreamCa
    own.judging = async () => own.allow({ upstream: there() })
    upstream.answer = () => {}
    const socket = await own.tls()
    socket.write(GET)
    await until('the request', () => upstream.arrived.length === 1)
    const before = upstream.sessions.size
    const started = performance.now()
    const answer = answerOn(socket)
    await own.listener.close()
    expect(JSON.parse((await answer)?.body ?? '{}').code).toBe('lease_ended')
    await until('the session is gone', () => upstream.sessions.size === before - 1)
    expect(performance.now() - started).toBeLessThan(100)
    await own.close()
  })
})
