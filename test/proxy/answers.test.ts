import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Answer } from '../../src/proxy/gate.ts'
import { answerOn, GATE_REFUSAL, headOf, readUntil, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.open()
})
afterAll(() => world.close())
beforeEach(() => world.clear())

const BODY = '{"data":{"__typename":"Query"}}'
const ANSWER: Answer = {
  kind: 'answer',
  answer: {
    status: 200,
    fields: [
      ['content-type', 'application/json'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ],
    body: BODY,
  },
}
const GET = 'GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n'
const POST = 'POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\nhello'

async function ask(raw: string, socket?: TLSSocket) {
  const open = socket ?? (await world.tls())
  open.write(raw)
  return answerOn(open)
}

/** One exchange on a session of its own: status, fields, body, and the code the stream ended with. */
async function askHttp2(fields: Record<string, string>, body: Buffer | 'never ends' | undefined) {
  const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
  const session = connectHttp2('https://api.test', { createConnection: () => socket })
  const stream = session.request({ ':path': '/x', ...fields }, { endStream: body === undefined })
  stream.on('error', () => {})
  if (body === 'never ends') stream.write('more to come')
  else if (body) stream.end(body)
  let text = ''
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>]
  stream.on('data', (piece) => (text += piece))
  await once(stream, 'close')
  session.destroy()
  return { head, text, code: stream.rstCode }
}

describe('an answer of the gate that cannot be written', () => {
  const wrong: [string, unknown][] = [
    ['has no answer', undefined],
    ['has a status below 200', { ...ANSWER.answer, status: 101 }],
    ['has a status above 599', { ...ANSWER.answer, status: 600 }],
    ['has half a status', { ...ANSWER.answer, status: 200.5 }],
    ['has no fields', { status: 200, body: '' }],
    ['has no body', { status: 200, fields: [] }],
    ['has bytes for a body', { status: 200, fields: [], body: Buffer.from('x') }],
    ['has a body where there is none', { status: 204, fields: [], body: 'x' }],
    ['sets its length', { ...ANSWER.answer, fields: [['Content-Length', '1']] }],
    ['sets its framing', { ...ANSWER.answer, fields: [['transfer-encoding', 'chunked']] }],
    ['sets a hop-by-hop field', { ...ANSWER.answer, fields: [['Connection', 'close']] }],
    ['sets a field of ours', { ...ANSWER.answer, fields: [['Broker-Decision', 'deny']] }],
    ['has a line end in a field', { ...ANSWER.answer, fields: [['x-a', 'a\r\nb: c']] }],
    ['has a broken name', { ...ANSWER.answer, fields: [['x a', 'a']] }],
    ['has a number for a field', { ...ANSWER.answer, fields: [['x-a', 1]] }],
  ]
  for (const [name, answer] of wrong) {
    it(`is a denial when it ${name}`, async () => {
      world.judging = async () => ({ kind: 'answer', answer }) as never
      const given = await ask(POST)
      expect(given?.status).toBe(403)
      expect(given?.head).toMatch(/broker-decision: deny/i)
      expect(JSON.parse(given?.body ?? '').code).toBe('operation_denied')
      expect(given?.body).toContain('the broker gave no clear answer')
      expect(world.reached).toBe(0)
    })
  }
})

describe('an answer of the gate', () => {
  it('reaches the client as it is, and nothing goes upstream', async () => {
    world.judging = async () => ANSWER
    const answer = await ask(POST)
    expect(answer?.status).toBe(200)
    expect(answer?.body).toBe(BODY)
    expect(answer?.head.toLowerCase().split('\r\n').slice(1)).toEqual([
      'content-type: application/json',
      'set-cookie: a=1',
      'set-cookie: b=2',
      `content-length: ${BODY.length}`,
      'connection: keep-alive',
      'keep-alive: timeout=60',
    ])
    expect(world.reached).toBe(0)
    expect(world.outcomes).toEqual([])
    expect(world.refusals).toEqual([])
  })

  it('may come after the body was read', async () => {
    world.judging = async ({ body }) => (body ? ANSWER : { kind: 'inspect', limit: 100 })
    expect((await ask(POST))?.body).toBe(BODY)
    expect(Buffer.from(world.judged.at(-1)?.body ?? []).toString()).toBe('hello')
    expect(world.reached).toBe(0)
  })

  it('leaves the connection as good as it was, whatever was asked before', async () => {
    const socket = await world.tls()
    world.judging = async ({ method }) => (method === 'POST' ? ANSWER : world.allow())
    for (const raw of [POST, GET, POST, GET]) {
      expect((await ask(raw, socket))?.status).toBe(200)
    }
    expect(world.api.arrived.map(({ method }) => method)).toEqual(['GET', 'GET'])
  })

  it('to HEAD has the length of the body and no body', async () => {
    world.judging = async ({ method }) => (method === 'HEAD' ? ANSWER : world.allow())
    const socket = await world.tls()
    socket.write('HEAD /x HTTP/1.1\r\nHost: api.test\r\n\r\n')
    expect((await headOf(socket)).toLowerCase()).toContain(`content-length: ${BODY.length}\r\n`)
    expect((await ask(GET, socket))?.body).toContain('fine GET /x') // and nothing before it
    const { head, text } = await askHttp2({ ':method': 'HEAD' }, undefined)
    expect(head).toMatchObject({ ':status': 200, 'content-length': String(BODY.length) })
    expect(text).toBe('')
  })

  it('without a body has no length where there must be none', async () => {
    world.judging = async () => ({ kind: 'answer', answer: { status: 204, fields: [], body: '' } })
    const socket = await world.tls()
    socket.write(GET)
    expect(await headOf(socket)).toMatch(
      /^HTTP\/1\.1 204 (?![\s\S]*(content-length|transfer-enc))/i,
    )
    expect((await askHttp2({}, undefined)).head[':status']).toBe(204)
  })

  it('to HTTP/1.0 ends the connection', async () => {
    world.judging = async () => ANSWER
    const socket = await world.tls()
    socket.write('GET /x HTTP/1.0\r\nHost: api.test\r\n\r\n')
    expect(await readUntil(socket)).toMatch(/connection: close[\s\S]*"Query"}}$/i)
  })

  it('goes over HTTP/2 as well', async () => {
    world.judging = async () => ANSWER
    const { head, text } = await askHttp2({ ':method': 'POST' }, Buffer.from('hello'))
    expect(head).toMatchObject({ ':status': 200, 'content-type': 'application/json' })
    expect(head).not.toHaveProperty('broker-decision')
    expect(text).toBe(BODY)
    expect(world.reached).toBe(0)
  })

  it('to a WebSocket handshake is an answer without a socket', async () => {
    world.judging = async () => ANSWER
    const socket = await world.tls()
    socket.write(
      'GET /socket HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    expect(await readUntil(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*"Query"}}$/)
    expect(world.reached).toBe(0)
  })
})

for (const [name, verdict, status] of [
  ['a refusal', { kind: 'refuse', refusal: GATE_REFUSAL }, 403],
  ['an answer', ANSWER, 200],
] as const) {
  describe(`${name} before the body was read`, () => {
    const judge = () => {
      world.judging = async ({ method }) => (method === 'POST' ? verdict : world.allow())
    }

    it('leaves an HTTP/1.1 connection usable once the body has come', async () => {
      judge()
      const socket = await world.tls()
      socket.write('POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 600000\r\n\r\n')
      expect((await answerOn(socket))?.status).toBe(status)
      socket.write(Buffer.alloc(600_000, 'b'))
      expect((await ask(GET, socket))?.body).toContain('fine GET /x 0 ')
    })

    it('leaves it usable after a body in chunks, trailers and all', async () => {
      judge()
      const socket = await world.tls()
      socket.write(
        'POST /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe',
      )
      expect((await answerOn(socket))?.status).toBe(status)
      socket.write('llo\r\n0\r\nX-Sum: 1\r\n\r\n')
      expect((await ask(GET, socket))?.body).toContain('fine GET /x 0 ')
    })

    it('cuts a connection whose body goes on and on', async () => {
      judge()
      const socket = await world.tls()
      socket.write('POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9000000000\r\n\r\n')
      expect((await answerOn(socket))?.status).toBe(status)
      const closed = new Promise((cut) => socket.once('close', cut))
      let sent = 0
      const more = () => {
        sent += 65_536
        if (!socket.destroyed && sent < 100_000_000) {
          socket.write(Buffer.alloc(65_536, 'b'), () => setImmediate(more))
        }
      }
      more()
      await closed
      expect(world.judged).toHaveLength(1)
    })

    it('ends the connection of a client that waits: its next bytes may be either', async () => {
      judge()
      const socket = await world.tls()
      const expecting = 'POST /x HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\n'
      socket.write(`${expecting}Content-Length: 5\r\n\r\n`)
      const text = await readUntil(socket)
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*connection: close`, 'i'))
      expect(text).not.toContain('100 Continue')
    })

    it('ends the stream of an HTTP/2 client without an error, and the session goes on', async () => {
      judge()
      const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
      const session = connectHttp2('https://api.test', { createConnection: () => socket })
      const upload = session.request({ ':path': '/x', ':method': 'POST' })
      upload.write('more to come')
      const [head] = (await once(upload, 'response')) as [Record<string, unknown>]
      expect(head[':status']).toBe(status)
      upload.resume()
      await once(upload, 'close')
      expect(upload.rstCode).toBe(0)
      const next = session.request({ ':path': '/x' })
      let text = ''
      next.on('data', (piece) => (text += piece))
      await once(next, 'end')
      expect(text).toContain('fine GET /x')
      session.destroy()
    })
  })
}

it('a refusal of a head whose body may not end where it says ends the connection', async () => {
  for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
    const socket = await world.tls()
    socket.write(`POST /x HTTP/1.1\r\nHost: other.test\r\n${framing}\r\n\r\n`)
    expect(await readUntil(socket)).toMatch(/^HTTP\/1\.1 403 [\s\S]*connection: close/i)
  }
})

it('a client that was told to go on keeps its connection', async () => {
  const socket = await world.tls()
  world.judging = async ({ body, method }) =>
    method === 'GET' ? world.allow() : body ? ANSWER : { kind: 'inspect', limit: 100 }
  socket.write(
    'POST /x HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
  )
  expect(await headOf(socket)).toMatch(/^HTTP\/1\.1 100 /)
  expect((await ask('hello', socket))?.body).toBe(BODY)
  expect((await ask(GET, socket))?.status).toBe(200)
})
