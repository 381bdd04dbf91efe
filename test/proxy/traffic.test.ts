import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetch, ProxyAgent, WebSocket } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answerOn, REAL_KEY, readUntil, until, World } from './world.ts'

const run = promisify(execFile)
let world: World
let folder: string
let agent: ProxyAgent
beforeAll(async () => {
  world = await World.open()
  folder = mkdtempSync(join(tmpdir(), 'proxy-'))
  writeFileSync(join(folder, 'ca.pem'), world.listener.ca)
  agent = new ProxyAgent({
    uri: `http://127.0.0.1:${world.listener.port}`,
    requestTls: { ca: world.listener.ca },
    proxyTunnel: true,
  })
})
afterAll(async () => {
  await agent.destroy()
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => world.clear())

async function curl(...args: string[]) {
  const proxy = `http://127.0.0.1:${world.listener.port}`
  const shared = ['-sS', '-m', '20', '-x', proxy, '--cacert', join(folder, 'ca.pem')]
  const { stdout } = await run('curl', [...shared, ...args], { env: { PATH: process.env['PATH'] } })
  return stdout
}

describe('curl', () => {
  it('gets over HTTP/2', async () => {
    expect(await curl('--http2', '-w', ' v%{http_version}', 'https://api.test/a?b=c%20d')).toMatch(
      /^fine GET \/a\?b=c%20d .* v2$/,
    )
    expect(world.judged).toMatchObject([{ protocol: 'h2', target: '/a?b=c%20d' }])
  })

  it('gets over HTTP/1.1', async () => {
    expect(await curl('--http1.1', 'https://api.test/a')).toContain('fine GET /a')
  })

  it('posts JSON over both', async () => {
    for (const version of ['--http1.1', '--http2']) {
      world.api.clear()
      await curl(
        version,
        '-d',
        '{"a":1}',
        '-H',
        'content-type: application/json',
        'https://api.test/a',
      )
      expect(world.api.arrived[0]?.body.toString()).toBe('{"a":1}')
      expect(world.api.arrived[0]?.fields).toContain(`Bearer ${REAL_KEY}`)
    }
  })

  it('uploads with Expect and in chunks', async () => {
    const file = join(folder, 'upload')
    writeFileSync(file, Buffer.alloc(3_000_000, 'u'))
    for (const more of [
      ['-H', 'Expect: 100-continue'],
      ['-H', 'Transfer-Encoding: chunked'],
    ]) {
      expect(await curl('--http1.1', '-T', file, ...more, 'https://api.test/up')).toContain(
        'fine PUT /up 3000000 ',
      )
    }
    expect(await curl('--http2', '-T', file, 'https://api.test/up')).toContain('3000000 ')
  })

  it('asks for the head alone, for ranges, with every common method', async () => {
    expect(await curl('-I', 'https://api.test/a')).toMatch(/HTTP\/2 200/)
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      expect(await curl('-X', method, 'https://api.test/a')).toContain(`fine ${method} /a`)
    }
    await curl('-r', '0-1', '-u', 'user:pass', '-b', 'a=1; b=2', 'https://api.test/a')
    expect(world.judged.at(-1)?.fields).toContainEqual(['cookie', 'a=1; b=2'])
  })

  it('speaks plain HTTP in the absolute form and through CONNECT', async () => {
    expect(await curl('http://plain.test/a')).toContain('fine GET /a')
    expect(await curl('-p', 'http://plain.test/a')).toContain('fine GET /a')
    expect(world.judged).toMatchObject([{ scheme: 'http' }, { scheme: 'http' }])
  })

  it('gets an answer with no body, one with a length, one with trailers', async () => {
    expect(await curl('-w', '%{http_code}', 'https://api.test/nothing')).toBe('204')
    expect(await curl('--http1.1', 'https://api.test/trailers')).toBe('body')
  })

  it('is told of a refusal in words', async () => {
    await expect(curl('https://other.test/')).rejects.toThrow(/403/)
    expect(await curl('-H', 'X-HTTP-Method: DELETE', 'https://api.test/')).toContain(
      '"code":"request_malformed"',
    )
  })

  it('is told so also in the midst of a large upload', async () => {
    const file = join(folder, 'large')
    writeFileSync(file, Buffer.alloc(5_000_000, 'u'))
    world.judging = async () => ({ kind: 'inspect', limit: 1000 })
    for (const more of [['--http1.1', '-H', 'Expect:'], ['--http2']]) {
      expect(await curl(...more, '-T', file, 'https://api.test/up')).toContain('request_too_large')
    }
    expect(world.reached).toBe(0)
  })
})

describe('fetch', () => {
  it('gets, posts and streams through the proxy on kept connections', async () => {
    const before = world.api.connections
    for (let round = 0; round < 5; round++) {
      const answer = await fetch(`https://api.test/${round}`, {
        method: 'POST',
        body: `round ${round}`,
        dispatcher: agent,
      })
      expect(await answer.text()).toContain(`fine POST /${round} 7 `)
    }
    expect(world.api.arrived.map(({ body }) => body.toString())).toEqual(
      [0, 1, 2, 3, 4].map((round) => `round ${round}`),
    )
    expect(world.api.connections - before).toBeLessThanOrEqual(1)
  })

  it('reads http URLs through CONNECT', async () => {
    const answer = await fetch('http://plain.test/a', { dispatcher: agent })
    expect(await answer.text()).toContain('fine GET /a')
  })

  it('sees an event before the stream ends', async () => {
    const stop = new AbortController()
    const answer = await fetch('https://api.test/stream', {
      dispatcher: agent,
      signal: stop.signal,
    })
    const reader = answer.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('data: one\n\n')
    stop.abort()
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]?.end).toBe('client_gone')
  })
})

describe('an HTTP/2 client', () => {
  it('has many requests under way on one connection', async () => {
    const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
    const session = connectHttp2('https://api.test', { createConnection: () => socket })
    const ask = (path: string) =>
      new Promise<string>((resolve, reject) => {
        const stream = session.request({ ':path': path, ':method': 'POST', cookie: ['a=1', 'b=2'] })
        let text = ''
        stream.on('data', (piece) => (text += piece))
        stream.on('end', () => resolve(text)).on('error', reject)
        stream.write('hel')
        stream.end('lo')
      })
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => ask(`/${at}`)))
    for (const [at, answer] of answers.entries()) expect(answer).toContain(`fine POST /${at} 5 `)
    expect(world.judged[0]?.fields).toContainEqual(['cookie', 'a=1; b=2'])
    session.destroy()
  })

  it('gets trailers', async () => {
    const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
    const session = connectHttp2('https://api.test', { createConnection: () => socket })
    const stream = session.request({ ':path': '/trailers' })
    const trailers = await new Promise<Record<string, unknown>>((got) => {
      stream.on('trailers', got).resume()
    })
    expect(trailers['x-check']).toBe('sum')
    expect(trailers).not.toHaveProperty('broker-decision')
    session.destroy()
  })

  for (const [name, head, options] of [
    ['another authority', { ':authority': 'other.test' }, {}],
    ['a Host that is not the authority', { host: 'other.test' }, {}],
    ['another scheme', { ':scheme': 'http' }, {}],
    ['a dot segment', { ':path': '/a/../b' }, {}],
    ['an absolute path for another host', { ':path': 'https://other.test/' }, {}],
    ['a method override', { 'x-http-method-override': 'DELETE' }, {}],
  ] as const) {
    it(`is refused ${name}`, async () => {
      const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'], ...options })
      const session = connectHttp2('https://api.test', { createConnection: () => socket })
      const stream = session.request({ ':path': '/', ...head })
      const status = await new Promise((got) => {
        stream.on('response', (fields) => got(fields[':status']))
        stream.on('error', () => got('reset'))
      })
      // What the HTTP/2 library turns away by itself is a reset.
      expect([403, 'reset']).toContain(status)
      expect(world.judged).toEqual([])
      expect(world.reached).toBe(0)
      session.destroy()
    })
  }

  it('may not open a tunnel inside', async () => {
    const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
    const session = connectHttp2('https://api.test', { createConnection: () => socket })
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'api.test:443' })
    const status = await new Promise((got) => {
      stream.on('response', (fields) => got(fields[':status']))
      stream.on('error', () => got('reset'))
    })
    expect([405, 403, 'reset']).toContain(status)
    expect(world.reached).toBe(0)
    session.destroy()
  })
})

describe('a WebSocket', () => {
  it('is judged as a request, then carries frames both ways', async () => {
    const socket = new WebSocket('wss://api.test/socket', { dispatcher: agent })
    const heard = new Promise((resolve, reject) => {
      socket.addEventListener('message', ({ data }) => resolve(data))
      socket.addEventListener('error', reject)
    })
    socket.addEventListener('open', () => socket.send('hello'))
    expect(await heard).toBe('hello')
    expect(world.judged).toMatchObject([{ upgrade: 'websocket', path: '/socket' }])
    expect(world.api.arrived[0]?.fields).toContain(`Bearer ${REAL_KEY}`)
    socket.close()
  })

  const handshake =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

  it('that is refused gets the refusal', async () => {
    const socket = await world.tls()
    world.judging = async () => {
      throw new Error('no')
    }
    socket.write(`GET /socket HTTP/1.1\r\nHost: api.test\r\n${handshake}`)
    expect((await answerOn(socket))?.status).toBe(403)
    expect(world.reached).toBe(0)
  })

  for (const [name, fields] of [
    ['without a key', handshake.replace(/Sec-WebSocket-Key.*\r\n/, '')],
    ['with a key that is none', handshake.replace(/Key: .*/, 'Key: x')],
    ['of another version', handshake.replace('Version: 13', 'Version: 8')],
  ] as const) {
    it(`${name} is refused: readers do not agree on what it is`, async () => {
      const socket = await world.tls()
      socket.write(`GET /socket HTTP/1.1\r\nHost: api.test\r\n${fields}`)
      expect((await answerOn(socket))?.status).toBe(403)
      expect(world.reached).toBe(0)
    })
  }

  it('for another host is refused', async () => {
    const socket = await world.tls()
    socket.write(`GET /socket HTTP/1.1\r\nHost: other.test\r\n${handshake}`)
    expect((await answerOn(socket))?.status).toBe(403)
  })

  it('that the upstream will not have gets its answer', async () => {
    const socket = await world.tls()
    socket.write(`GET /no-socket HTTP/1.1\r\nHost: api.test\r\n${handshake}`)
    expect(await readUntil(socket)).toMatch(/^HTTP\/1\.1 401 [\s\S]*nope$/)
  })
})

describe('an unusual but plain request', () => {
  for (const [name, raw] of [
    [
      'with an absolute URL for its own host',
      'GET https://api.test/x HTTP/1.1\r\nHost: api.test\r\n\r\n',
    ],
    ['with the port in Host', 'GET /x HTTP/1.1\r\nHost: API.TEST:443\r\n\r\n'],
    ['with an escaped slash', 'GET /a%2Fb HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['with dots in a name', 'GET /..a/b..c/... HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['with UTF-8 in escapes', 'GET /%E2%82%AC HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['with brackets and bars in the query', 'GET /?a[]={x|y} HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['of HTTP/1.0', 'GET /x HTTP/1.0\r\nHost: api.test\r\n\r\n'],
    ['after an empty line', '\r\nGET /x HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    [
      'with a fine chunk extension',
      'POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n',
    ],
    [
      'with trailers',
      'POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    ],
    ['with a body on GET', 'GET /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\nhello'],
    [
      'with bytes above ASCII in a field',
      'GET /x HTTP/1.1\r\nHost: api.test\r\nX-A: caf\xe9\r\n\r\n',
    ],
  ] as const) {
    it(`${name} passes as it is`, async () => {
      const socket = await world.tls()
      socket.write(Buffer.from(raw, 'latin1'))
      expect((await answerOn(socket))?.status).toBe(200)
      const [judged] = world.judged
      const [arrived] = world.api.arrived
      expect(arrived).toMatchObject({ method: judged?.method, url: judged?.target, trailers: [] })
      for (const [field, value] of judged?.fields ?? []) {
        expect(arrived?.fields).toContain(field)
        expect(arrived?.fields).toContain(value)
      }
      if (judged?.length !== 0) expect(arrived?.body.toString()).toBe('hello')
    })
  }

  it('that comes right behind another is refused, the first one is answered', async () => {
    const socket = await world.tls()
    const one = 'GET /1 HTTP/1.1\r\nHost: api.test\r\n\r\n'
    socket.write(one + one.replace('/1', '/2'))
    const text = await readUntil(socket)
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403'])
    expect(world.api.arrived.map(({ url }) => url)).toEqual(['/1'])
  })
})
