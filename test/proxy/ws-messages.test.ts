import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Allow, MessageVerdict } from '../../src/proxy/gate.ts'
import { answerOn, headOf, PHANTOM, REAL_KEY, readUntil, until, World } from './world.ts'
import { type Asking, frame, HANDSHAKE, HandshakeRefused, openSocket } from './ws-client.ts'
import { SocketUpstream } from './ws-upstream.ts'

type Judging = NonNullable<Allow['messages']>

let world: World
let upstream: SocketUpstream
/** What the gate was asked about. */
const asked: string[] = []
let judging: Judging

beforeAll(async () => {
  world = await World.open()
  upstream = await SocketUpstream.open(world.upstreamCa, 'api.test')
})
afterAll(async () => {
  await world.close()
  upstream.close()
})
beforeEach(() => {
  world.clear()
  upstream.clear()
  asked.length = 0
  judging = async (text) => ({ kind: 'forward', text })
  world.judging = async () => allow()
})

// Nothing of one test is still on its way in the next.
afterEach(async () => {
  for (const socket of upstream.sockets) socket.terminate()
  await until('all are closed', () => upstream.sockets.size === 0)
  await until('all are reported', () => world.outcomes.length >= upstream.handshakes.length)
})

function allow(more: Partial<Allow> = {}) {
  const origin = `https://api.test:${upstream.port}`
  return world.allow({
    upstream: { origin, ca: world.upstreamCa.pem, reserved: true },
    messages: (text, signal) => {
      asked.push(text)
      return judging(text, signal)
    },
    ...more,
  })
}

async function open(path = '/', asking: Partial<Asking> = {}) {
  return openSocket(await world.tls(), { url: `ws://api.test${path}`, ...asking })
}

async function refused(path: string, asking: Partial<Asking> = {}): Promise<HandshakeRefused> {
  try {
    await open(path, asking)
  } catch (error) {
    if (error instanceof HandshakeRefused) return error
    throw error
  }
  throw new Error('it was opened')
}

/** A connection past its handshake, for frames of one's own making. */
async function bare(): Promise<TLSSocket> {
  const socket = await world.tls()
  socket.write(`GET / HTTP/1.1\r\nHost: api.test\r\n${HANDSHAKE}\r\n`)
  expect(await headOf(socket)).toMatch(/^HTTP\/1.1 101 /)
  return socket
}

/** The code of the close frame that ends the connection. */
async function closeCode(socket: TLSSocket): Promise<number> {
  const text = await readUntil(socket, (sofar) => sofar.length >= 4)
  const bytes = Buffer.from(text, 'latin1')
  expect(bytes[0]).toBe(0x88)
  return bytes.readUInt16BE(2)
}

/** What is left to be written once nothing has moved for long: it is counted in whole messages. */
async function settled(bytes: () => number): Promise<number> {
  let last = -1
  let same = 0
  await until('nothing moves any more', () => {
    same = bytes() === last ? same + 1 : 0
    last = bytes()
    return same === 300
  })
  return last
}

const verdict = (value: unknown) => async () => value as MessageVerdict
const never = () => new Promise<MessageVerdict>(() => {})
const MEGABYTE = 1024 * 1024

describe('frames that are not plain text messages end the connection', () => {
  for (const [name, code, bytes] of [
    ['a binary message', 1003, frame('x', { first: 0x82 })],
    ['a frame without a mask', 1002, frame('x', { mask: false })],
    ['a compressed message', 1002, frame('x', { first: 0xc1 })],
    ['a frame with another reserved bit', 1002, frame('x', { first: 0xa1 })],
    ['an opcode that nobody knows', 1002, frame('x', { first: 0x83 })],
    ['a control opcode that nobody knows', 1002, frame('x', { first: 0x8b })],
    ['a ping in pieces', 1002, frame('x', { first: 0x09 })],
    ['a ping over 125 bytes', 1002, frame('x'.repeat(126), { first: 0x89 })],
    ['a continuation of nothing', 1002, frame('x', { first: 0x80 })],
    [
      'a message within a message',
      1002,
      Buffer.concat([frame('x', { first: 0x01 }), frame('y', { first: 0x01 })]),
    ],
    ['text that is not UTF-8', 1007, frame(Buffer.from([0xff, 0xfe]))],
    ['a message over the limit', 1009, frame('x'.repeat(MEGABYTE + 1))],
    [
      'pieces that are over the limit together',
      1009,
      Buffer.concat([
        frame('x'.repeat(MEGABYTE / 2), { first: 0x01 }),
        frame('x'.repeat(MEGABYTE / 2), { first: 0x00 }),
        frame('x', { first: 0x80 }),
      ]),
    ],
  ] as const) {
    it(`${name}: ${code}`, async () => {
      const socket = await bare()
      socket.write(bytes)
      expect(await closeCode(socket)).toBe(code)
      await until('the upstream is closed', () => upstream.closes.length === 1)
      expect(asked).toEqual([])
      expect(upstream.messages).toEqual([])
      socket.destroy()
    })
  }
})

describe('a message that the gate does not forward never arrives', () => {
  it('when it closes, with its code and its reason', async () => {
    judging = verdict({ kind: 'close', code: 4403, reason: 'not this one' })
    const client = await open()
    client.socket.send('one')
    expect(await client.closed).toEqual({ code: 4403, reason: 'not this one' })
    await until('the upstream is closed', () => upstream.closes.length === 1)
    expect(upstream.closes).toEqual([{ code: 1000, reason: '' }])
    expect(upstream.messages).toEqual([])
  })

  it('when it closes, nor do those behind it', async () => {
    judging = async (text) =>
      text === 'two' ? { kind: 'close', code: 4400, reason: '' } : { kind: 'forward', text }
    const client = await open()
    for (const text of ['one', 'two', 'three']) client.socket.send(text)
    expect((await client.closed).code).toBe(4400)
    await until('the upstream is closed', () => upstream.closes.length === 1)
    expect(asked).toEqual(['one', 'two'])
    expect(upstream.texts).toEqual(['one'])
  })

  it('when it answers by itself, and the next one is asked about', async () => {
    judging = async (text) =>
      text === 'one' ? { kind: 'answer', text: 'no' } : { kind: 'forward', text }
    const client = await open('/echo')
    client.socket.send('one')
    client.socket.send('two')
    await until('both have an answer', () => client.messages.length === 2)
    expect(client.texts).toEqual(['no', 'echo two'])
    expect(upstream.texts).toEqual(['two'])
    client.socket.close()
  })

  it('when a binary message stood behind it, and its verdict comes later', async () => {
    const held = Promise.withResolvers<void>()
    judging = async () => {
      await held.promise
      return { kind: 'answer', text: 'too late' }
    }
    const socket = await bare()
    socket.write(Buffer.concat([frame('one'), frame('x', { first: 0x82 })]))
    expect(await closeCode(socket)).toBe(1003)
    held.resolve()
    await until('the upstream is closed', () => upstream.closes.length === 1)
    expect(asked).toEqual(['one'])
    expect(upstream.messages).toEqual([])
    socket.destroy()
  })

  it('when its reason is too long for a frame, and the reason is cut', async () => {
    judging = verdict({ kind: 'close', code: 4400, reason: 'é'.repeat(200) })
    const client = await open()
    client.socket.send('one')
    expect(await client.closed).toEqual({ code: 4400, reason: 'é'.repeat(61) })
  })

  for (const [name, judge] of [
    ['throws', () => Promise.reject(new Error('broken'))],
    [
      'throws at once',
      () => {
        throw new Error('broken')
      },
    ],
    ['answers nothing', verdict(undefined)],
    ['answers null', verdict(null)],
    ['answers in a kind that is not listed', verdict({ kind: 'allow', text: 'x' })],
    ['forwards what is no text', verdict({ kind: 'forward', text: 7 })],
    ['answers with what is no text', verdict({ kind: 'answer' })],
    [
      'closes with a code that is not an application’s',
      verdict({ kind: 'close', code: 1006, reason: '' }),
    ],
    ['closes without a reason', verdict({ kind: 'close', code: 4400 })],
  ] as const satisfies readonly (readonly [string, Judging])[]) {
    it(`when it ${name}: the connection ends with 1008`, async () => {
      judging = judge
      const client = await open()
      client.socket.send('one')
      expect((await client.closed).code).toBe(1008)
      await until('the upstream is closed', () => upstream.closes.length === 1)
      expect(upstream.messages).toEqual([])
      expect(world.refusals).toMatchObject([
        { code: 'operation_denied', request: { host: 'api.test' } },
      ])
    })
  }

  it('when it does not answer in time: the connection ends with 1008', async () => {
    const hasty = await World.open({ judgeMs: 200 })
    hasty.judging = async () => allow()
    judging = never
    const client = await openSocket(await hasty.tls(), { url: 'ws://api.test/' })
    client.socket.send('one')
    const { code, reason } = await client.closed
    expect([code, reason]).toEqual([1008, 'the broker did not decide in time'])
    await until('the upstream is closed', () => upstream.closes.length === 1)
    expect(upstream.messages).toEqual([])
    expect(hasty.refusals).toMatchObject([{ code: 'operation_denied' }])
    await hasty.close()
    upstream.clear()
  })

  it('when there is nothing to upgrade: such an answer is a denial', async () => {
    const socket = await world.tls()
    socket.write('GET / HTTP/1.1\r\nHost: api.test\r\n\r\n')
    const answer = await answerOn(socket)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([403, 'operation_denied'])
    expect(upstream.handshakes).toEqual([])
  })
})

describe('the handshake', () => {
  for (const [name, fields] of [
    ['a key that is none', HANDSHAKE.replace('dGhlIHNhbXBsZSBub25jZQ==', 'short')],
    ['two keys', `${HANDSHAKE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`],
    ['no key', HANDSHAKE.replace(/Sec-WebSocket-Key.*\r\n/, '')],
    ['an old version', HANDSHAKE.replace('13', '8')],
    ['no version', HANDSHAKE.replace(/Sec-WebSocket-Version.*\r\n/, '')],
    ['a protocol that stands twice', `${HANDSHAKE}Sec-WebSocket-Protocol: a, a\r\n`],
    ['a protocol that is no name', `${HANDSHAKE}Sec-WebSocket-Protocol: a b\r\n`],
    ['an empty protocol', `${HANDSHAKE}Sec-WebSocket-Protocol: a,,b\r\n`],
  ] as const) {
    it(`with ${name} is refused, and nothing is opened upstream`, async () => {
      const socket = await world.tls()
      socket.write(`GET / HTTP/1.1\r\nHost: api.test\r\n${fields}\r\n`)
      const answer = await answerOn(socket)
      expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([
        403,
        'request_malformed',
      ])
      expect(upstream.handshakes).toEqual([])
      socket.destroy()
    })
  }

  it('for a target that the library would write otherwise is refused', async () => {
    const socket = await world.tls()
    socket.write(`GET /a?b='c' HTTP/1.1\r\nHost: api.test\r\n${HANDSHAKE}\r\n`)
    const answer = await answerOn(socket)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([
      403,
      'request_malformed',
    ])
    expect(upstream.handshakes).toEqual([])
    socket.destroy()
  })

  it('that the upstream refuses gets the upstream’s own answer', async () => {
    const answer = await refused('/refuses')
    expect([answer.status, answer.headers['x-why'], answer.text]).toEqual([401, 'key', 'nope'])
    await until('it is reported', () => world.outcomes.length === 1)
    expect(world.outcomes).toMatchObject([{ status: 401, end: 'complete' }])
  })

  for (const [name, path] of [
    ['without the protocol that was asked for', '/without-protocol'],
    ['with an extension that was not', '/extension'],
  ] as const) {
    it(`that the upstream answers ${name} is refused`, async () => {
      const answer = await refused(path, { protocols: ['graphql-transport-ws'] })
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([502, 'upstream_failed'])
      await until('it is reported', () => world.outcomes.length === 1)
      expect(world.outcomes).toMatchObject([{ end: 'upstream_failed' }])
    })
  }

  it('carries the key instead of the phantom, and nothing for this hop', async () => {
    const client = await open('/path?query=1', {
      protocols: ['graphql-transport-ws', 'other'],
      headers: { 'x-phantom': PHANTOM, 'x-more': 'yes', origin: 'https://page.test' },
    })
    expect(client.socket.protocol).toBe('graphql-transport-ws')
    expect(client.socket.extensions).toBe('')
    const [handshake] = upstream.handshakes
    const { headers, url } = handshake ?? {}
    expect(url).toBe('/path?query=1')
    expect(headers).toEqual({
      host: `api.test:${upstream.port}`,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': expect.any(String),
      'sec-websocket-protocol': 'graphql-transport-ws,other',
      authorization: `Bearer ${REAL_KEY}`,
      origin: 'https://page.test',
      'x-more': 'yes',
    })
    expect(world.judged[0]?.fields).toContainEqual(['sec-websocket-extensions', expect.any(String)])
    client.socket.close()
  })

  it('gives the client the upstream’s own fields, and none of ours', async () => {
    const socket = await world.tls()
    socket.write(`GET /cookie HTTP/1.1\r\nHost: api.test\r\n${HANDSHAKE}\r\n`)
    const head = (await headOf(socket)).toLowerCase()
    expect(head).toContain('set-cookie: a=1\r\n')
    expect(head).not.toContain('broker-')
    expect(head.match(/sec-websocket-accept/g)).toHaveLength(1)
    socket.destroy()
  })
})

describe('a judged WebSocket', () => {
  it('sends up what the gate returned, and no byte else', async () => {
    judging = async (text) => ({ kind: 'forward', text: `<${text}>` })
    const client = await open('/echo')
    client.socket.send('one')
    client.socket.send('ünï', { fin: false })
    client.socket.send('cöde')
    client.socket.ping('a secret in a ping')
    client.socket.pong('and in a pong')
    await until('all came back', () => client.messages.length === 2 && client.pongs.length === 1)
    expect(asked).toEqual(['one', 'ünïcöde'])
    expect(upstream.messages).toEqual([
      { text: '<one>', isBinary: false },
      { text: '<ünïcöde>', isBinary: false },
    ])
    expect(client.texts).toEqual(['echo <one>', 'echo <ünïcöde>'])
    // The client has its own bytes back; the upstream never had them.
    expect(client.pongs).toEqual(['a secret in a ping'])
    await until('the pong is there', () => upstream.pongs.length === 1)
    expect([...upstream.pings, ...upstream.pongs]).toEqual(['', ''])
    client.socket.close(4001, 'a secret in a goodbye')
    await until('it is closed', () => upstream.closes.length === 1)
    expect(upstream.closes).toEqual([{ code: 4001, reason: '' }])
  })

  it('asks about one message at a time, in order, and reads no further meanwhile', async () => {
    const held = Promise.withResolvers<void>()
    let together = 0
    let most = 0
    judging = async (text) => {
      most = Math.max(most, ++together)
      if (text.startsWith('0 ')) await held.promise
      together--
      return { kind: 'forward', text }
    }
    const client = await open()
    const texts = Array.from({ length: 48 }, (_, at) => `${at} ${'x'.repeat(MEGABYTE - 10)}`)
    for (const text of texts) client.socket.send(text)
    await until('the first is asked about', () => asked.length === 1)
    const left = await settled(() => client.socket.bufferedAmount)
    expect(left).toBeGreaterThan(24 * MEGABYTE)
    expect(upstream.messages).toEqual([])
    held.resolve()
    await until('all arrived', () => upstream.messages.length === texts.length, 30_000)
    expect(upstream.texts.map((text) => text.split(' ')[0])).toEqual(
      texts.map((text) => text.split(' ')[0]),
    )
    expect(most).toBe(1)
    client.socket.close()
  })

  it('loses nothing of a client that speaks before the upstream is open', async () => {
    const socket = await world.tls()
    socket.write(
      Buffer.concat([
        Buffer.from(`GET /echo HTTP/1.1\r\nHost: api.test\r\n${HANDSHAKE}\r\n`),
        frame('one'),
        frame('two'),
      ]),
    )
    const text = await readUntil(socket, (sofar) => sofar.includes('echo two'))
    expect(text).toContain('echo one')
    expect(asked).toEqual(['one', 'two'])
    socket.destroy()
  })

  it('loses nothing of an upstream that speaks at once', async () => {
    const client = await open('/first')
    await until('it is there', () => client.messages.length === 1)
    expect(client.texts).toEqual(['hello'])
    client.socket.close()
  })

  it('passes on what the server sends, binary messages and pings too', async () => {
    const client = await open()
    const server = upstream.newest
    const large = 'y'.repeat(3 * MEGABYTE)
    const pinged = once(client.socket, 'ping')
    server.send(Buffer.from([1, 2]), { binary: true })
    server.send(large)
    server.ping('are you there')
    expect(String((await pinged)[0])).toBe('are you there')
    await until('the pong is there', () => upstream.pongs.length === 1)
    expect(upstream.pongs).toEqual(['are you there'])
    expect(client.messages).toEqual([
      { text: '\u0001\u0002', isBinary: true },
      { text: large, isBinary: false },
    ])
    expect(asked).toEqual([])
    client.socket.close()
  })

  it('reads no further from a server whose client does not read', async () => {
    const client = await open()
    client.socket.pause()
    const server = upstream.newest
    for (let at = 0; at < 48; at++) server.send('z'.repeat(MEGABYTE))
    const left = await settled(() => server.bufferedAmount)
    expect(left).toBeGreaterThan(24 * MEGABYTE)
    client.socket.resume()
    await until('all arrived', () => client.messages.length === 48, 30_000)
    client.socket.close()
  })

  it('passes on a goodbye behind what was sent before it', async () => {
    const held = Promise.withResolvers<void>()
    judging = async (text) => {
      await held.promise
      return { kind: 'forward', text }
    }
    const socket = await bare()
    socket.once('end', () => socket.end()).resume()
    const goodbye = frame(Buffer.from([0x0f, 0xa2]), { first: 0x88 })
    socket.write(Buffer.concat([frame('one'), frame('two'), goodbye]))
    await until('the first is asked about', () => asked.length === 1)
    expect(upstream.closes).toEqual([])
    held.resolve()
    await until('it is closed', () => upstream.closes.length === 1)
    expect(upstream.texts).toEqual(['one', 'two'])
    expect(upstream.closes).toEqual([{ code: 4002, reason: '' }])
    await until('it is reported', () => world.outcomes.length === 1)
    expect(world.outcomes).toMatchObject([{ kind: 'request', status: 101, end: 'complete' }])
    expect(world.outcomes[0]?.bytesUp).toBeGreaterThan(0)
    expect(world.outcomes[0]?.bytesDown).toBeGreaterThan(0)
  })

  it('passes on a goodbye of the server, with its reason', async () => {
    const client = await open()
    const server = upstream.newest
    server.close(4401, 'who are you')
    expect(await client.closed).toEqual({ code: 4401, reason: 'who are you' })
  })

  it('passes on a goodbye without a code', async () => {
    const client = await open()
    client.socket.close()
    await until('it is closed', () => upstream.closes.length === 1)
    expect(upstream.closes).toEqual([{ code: 1005, reason: '' }])
  })

  it('is cut when the upstream is gone', async () => {
    const client = await open()
    const server = upstream.newest
    server.terminate()
    expect((await client.closed).code).toBe(1006)
    await until('it is reported', () => world.outcomes.length === 1)
    expect(world.outcomes).toMatchObject([{ end: 'upstream_failed' }])
  })

  it('is cut upstream when the client is gone, and a verdict to come is not used', async () => {
    const held = Promise.withResolvers<void>()
    const signals: AbortSignal[] = []
    judging = async (text, signal) => {
      signals.push(signal)
      await held.promise
      return { kind: 'forward', text }
    }
    const client = await open()
    client.socket.send('one')
    await until('it is asked about', () => asked.length === 1)
    const server = upstream.newest
    server.terminate()
    expect((await client.closed).code).toBe(1006)
    expect(signals[0]?.aborted).toBe(true)
    held.resolve()
    await until('it is reported', () => world.outcomes.length === 1)
    expect(upstream.messages).toEqual([])
    expect(world.refusals).toEqual([])
  })
})

describe('the end of the lease', () => {
  it('cuts a judged WebSocket at once, also one that waits for a verdict', async () => {
    const own = await World.open()
    try {
      const ours = await SocketUpstream.open(own.upstreamCa, 'api.test')
      own.judging = async () =>
        own.allow({
          upstream: {
            origin: `https://api.test:${ours.port}`,
            ca: own.upstreamCa.pem,
            reserved: true,
          },
          messages: (text) => {
            asked.push(text)
            return never()
          },
        })
      const idle = await openSocket(await own.tls(), { url: 'ws://api.test/' })
      const busy = await openSocket(await own.tls(), { url: 'ws://api.test/' })
      busy.socket.send('one')
      await until('it is asked about', () => asked.length === 1)
      const started = performance.now()
      await own.listener.close()
      expect((await idle.closed).code).toBe(1006)
      expect((await busy.closed).code).toBe(1006)
      expect(performance.now() - started).toBeLessThan(1000)
      await until('both are reported', () => own.outcomes.length === 2)
      expect(own.outcomes).toMatchObject([{ end: 'lease_ended' }, { end: 'lease_ended' }])
      expect(ours.messages).toEqual([])
      expect(own.refusals).toEqual([])
      ours.close()
    } finally {
      await own.close()
    }
  })
})
