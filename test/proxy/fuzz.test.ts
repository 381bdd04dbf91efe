import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { classify } from '../../src/proxy/first-bytes.ts'
import type { JudgedRequest } from '../../src/proxy/gate.ts'
import { Refused } from '../../src/proxy/refusal.ts'
import { readHead } from '../../src/proxy/request-head.ts'
import { MESSAGE, SCRAP } from './fuzz-messages.ts'
import { endedStreams, frames } from './http2-frames.ts'
import type { Arrived } from './upstream.ts'
import { REAL_KEY, until, World } from './world.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 2000)

let world: World
beforeAll(async () => {
  world = await World.open()
})
afterAll(() => world.close())

/** Sends, waits for an answer (a moment at most: many of these are never whole), and lets go. */
async function send(text: string): Promise<string> {
  const socket = await world.through('plain.test:80')
  let heard = ''
  await new Promise<void>((done) => {
    const timer = setTimeout(done, 40)
    socket.on('data', (piece: Buffer) => {
      heard += piece.toString('latin1')
      if (/^HTTP\/1\.1 [2-5]/m.test(heard)) setTimeout(done, 5, clearTimeout(timer))
    })
    socket.once('close', () => done(clearTimeout(timer) as undefined))
    socket.write(Buffer.from(text, 'latin1'))
  })
  await new Promise<void>((closed) =>
    socket.destroyed ? closed() : socket.once('close', closed).destroy(),
  )
  return heard
}

/** Written by the proxy itself, from what it parsed or was told. */
const OWN = /^(host|connection|content-length|transfer-encoding|authorization|upgrade|te): /

const pairs = ({ fields }: Arrived) =>
  fields.flatMap((name, at) => (at % 2 ? [] : [`${name.toLowerCase()}: ${fields[at + 1]}`]))

const plainOf = (lines: readonly string[]) => lines.filter((line) => !OWN.test(line)).join('\n')

const matches = (judged: JudgedRequest, arrived: Arrived) =>
  judged.method === arrived.method &&
  judged.target === arrived.url &&
  Buffer.compare(Buffer.from(judged.body ?? []), arrived.body) === 0 &&
  plainOf(judged.fields.map(([name, value]) => `${name}: ${value}`)) === plainOf(pairs(arrived))

const PSEUDO = fc.record({
  method: fc.constantFrom('GET', 'POST', 'HEAD', 'CONNECT', 'get', 'GE T', ''),
  path: fc.constantFrom(
    '/a',
    '/a?b=c',
    '/a b',
    '/a\r\nx: y',
    '/../a',
    '//a',
    '*',
    'https://api.test/a',
    '',
  ),
  authority: fc.constantFrom(
    'api.test',
    'api.test:443',
    'other.test',
    'API.TEST',
    'u@api.test',
    '',
  ),
  scheme: fc.constantFrom('https', 'https', 'https', 'http', ''),
})
const FIELD_LINE = fc.constantFrom<readonly [string, string]>(
  ['x-a', 'one'],
  ['x-a', 'one\r\nx-b: two'],
  ['x-a: y\r\nx-b', 'two'],
  ['X-Upper', 'one'],
  ['host', 'api.test'],
  ['host', 'other.test'],
  ['content-length', '5'],
  ['content-length', '4'],
  ['content-length', '0'],
  ['transfer-encoding', 'chunked'],
  ['connection', 'close'],
  ['upgrade', 'websocket'],
  ['te', 'trailers'],
  ['te', 'gzip'],
  ['cookie', 'a=1'],
  ['authorization', 'Bearer x'],
  [':protocol', 'websocket'],
  [':path', '/second'],
  ['expect', '100-continue'],
  ['x-empty', ''],
  ['', 'nameless'],
)
/** Most streams are fine but for what chance does to them. */
const STREAM = fc
  .record({
    pseudo: fc.oneof(
      {
        weight: 2,
        arbitrary: fc.constant({
          method: 'POST',
          path: '/a',
          authority: 'api.test',
          scheme: 'https',
        }),
      },
      { weight: 1, arbitrary: PSEUDO },
    ),
    fields: fc.array(FIELD_LINE, { maxLength: 3 }),
    body: fc.constantFrom(undefined, '', 'hello', '0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n'),
    trailers: fc.oneof(
      { weight: 7, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: FIELD_LINE.map((line) => [line]) },
    ),
    late: fc.boolean(),
  })
  .map(({ pseudo, fields, body, trailers, late }) => {
    const lines = Object.entries(pseudo).map(([name, value]) => [`:${name}`, value] as const)
    // Pseudo fields behind the others are malformed (RFC 9113 §8.3); some are to be.
    return {
      fields: late && fields.length > 2 ? [...fields, ...lines] : [...lines, ...fields],
      body,
      trailers,
    }
  })

/** Sends and waits until each stream is ended, or the connection: one or the other has to come. */
async function sendHttp2(streams: Parameters<typeof frames>[0]): Promise<void> {
  const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
  let heard = Buffer.alloc(0)
  await new Promise<void>((done) => {
    socket.on('data', (piece: Buffer) => {
      heard = Buffer.concat([heard, piece])
      if (endedStreams(heard) === streams.length) done()
    })
    socket.once('end', done).once('close', done)
    socket.write(frames(streams))
  })
  socket.destroy()
}

describe('whatever bytes come', () => {
  it('each request that arrives upstream was judged as it arrived, and none arrives twice', async () => {
    world.judging = async ({ body, length, upgrade }) =>
      body || length === 0 || upgrade ? world.allow() : { kind: 'inspect', limit: 4096 }
    const judged: JudgedRequest[] = [] // and not arrived yet, over all rounds: some arrive late
    await fc.assert(
      fc.asyncProperty(fc.array(MESSAGE, { minLength: 20, maxLength: 20 }), async (messages) => {
        const heard = await Promise.all(messages.map(send))
        for (const text of heard) expect(text === '' || text.startsWith('HTTP/1.1 ')).toBe(true)
        judged.push(...world.judged.splice(0))
        for (const arrived of world.plain.arrived.splice(0)) {
          const at = judged.findIndex((one) => matches(one, arrived))
          expect(at, `not judged: ${JSON.stringify(arrived)}`).toBeGreaterThanOrEqual(0)
          judged.splice(at, 1)
          expect(arrived.fields).toContain(`Bearer ${REAL_KEY}`)
          expect(pairs(arrived)).not.toContain('authorization: Bearer x')
        }
      }),
      { numRuns: Math.ceil(RUNS / 20) },
    )
    // Otherwise the property would hold of a proxy that lets nothing through.
    expect(world.outcomes.filter(({ end }) => end === 'complete').length).toBeGreaterThan(RUNS / 25)
  }, 600_000)

  it('over HTTP/2 as well, whatever of it HTTP/1.1 would read otherwise', async () => {
    world.judging = async ({ body, length }) =>
      body || length === 0 ? world.allow() : { kind: 'inspect', limit: 4096 }
    world.judged.length = 0
    world.api.clear()
    const before = world.outcomes.length
    const judged: JudgedRequest[] = []
    const connection = fc.array(STREAM, { minLength: 5, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(fc.array(connection, { minLength: 10, maxLength: 10 }), async (all) => {
        await Promise.all(all.map(sendHttp2))
        judged.push(...world.judged.splice(0))
        for (const arrived of world.api.arrived.splice(0)) {
          const at = judged.findIndex((one) => matches(one, arrived))
          expect(at, `not judged: ${JSON.stringify(arrived)}`).toBeGreaterThanOrEqual(0)
          judged.splice(at, 1)
          expect(arrived.fields).toContain(`Bearer ${REAL_KEY}`)
          expect(arrived.trailers).toEqual([])
          expect(pairs(arrived)).not.toContain('x-b: two')
        }
      }),
      { numRuns: Math.ceil(RUNS / 4 / 50) },
    )
    const whole = world.outcomes.slice(before).filter(({ end }) => end === 'complete')
    expect(whole.length).toBeGreaterThan(RUNS / 100)
    // What is left are connections upstream, two sockets each where there is TLS.
    await until('no client is left', () => {
      return world.listener.open <= 2 * world.api.open.size + world.plain.open.size
    })
  }, 600_000)

  it('a head is either one canonical request or refused, never anything else', () => {
    const text = fc.oneof(fc.string(), SCRAP, fc.constantFrom('api.test', '5', 'chunked', '/a'))
    const name = fc.constantFrom(
      'Host',
      'Content-Length',
      'Transfer-Encoding',
      'Connection',
      ':authority',
      ':scheme',
      'x-a',
      'cookie',
    )
    const channel = {
      scheme: 'https',
      host: 'api.test',
      port: 443,
      route: 'intercept',
      reserved: false,
      authority: 'api.test',
    } as const
    fc.assert(
      fc.property(
        fc.constantFrom('http/1.0', 'http/1.1', 'h2', 'other'),
        fc.oneof(
          text,
          text.map((rest) => `/${rest}`),
        ),
        fc.array(fc.tuple(name, text), { maxLength: 5 }),
        (protocol, target, fields) => {
          const rawFields = ['Host', 'api.test', ...fields.flat()]
          const raw = {
            protocol,
            method: 'GET',
            target,
            rawFields,
            upgrade: undefined,
            ended: true,
          } as const
          try {
            const head = readHead(raw, channel, 200)
            expect(head.host).toBe('api.test')
            expect(head.target).toMatch(/^\/[\x21-\x7e]*$/)
            expect(decodeURIComponent(head.path).split(/[/\\]/)).not.toContain('..')
            for (const [field] of head.fields)
              expect(field).not.toMatch(/^(host|content-length|transfer-encoding|connection|:.*)$/)
          } catch (error) {
            if (!(error instanceof Refused)) throw error
          }
        },
      ),
      { numRuns: RUNS * 5 },
    )
  })

  it('the first bytes of a connection are told apart without a throw, and sooner or later', () => {
    fc.assert(
      fc.property(
        fc.constantFrom([], [0x16, 3, 1], [0x16, 3, 1, 0, 50, 1, 0, 0, 46, 3, 3]),
        fc.uint8Array({ maxLength: 300 }),
        (start, rest) => {
          const first = classify(Buffer.from([...start, ...rest]))
          expect([undefined, 'tls', 'http', 'other']).toContain(first?.kind)
        },
      ),
      { numRuns: RUNS * 5 },
    )
    expect(classify(Buffer.alloc(70_000, 0x16))?.kind).toBe('other')
  })
})
