import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/lib/secret.ts'
import type { Route, Verdict } from '../../src/proxy/gate.ts'
import { answerOn, GATE_REFUSAL, PHANTOM, REAL_KEY, readUntil, until, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.open({ judgeMs: 200, routeMs: 200 })
})
afterAll(() => world.close())
beforeEach(() => world.clear())

const REQUEST = `POST /x HTTP/1.1\r\nHost: api.test\r\nX-Phantom: ${PHANTOM}\r\nContent-Length: 5\r\n\r\nhello`

async function ask(raw = REQUEST) {
  const socket = await world.tls()
  socket.write(raw)
  return answerOn(socket)
}

/** Its body comes along with the head as well, but nobody can tell before its end is read. */
const CHUNKED = REQUEST.replace(
  'Content-Length: 5\r\n\r\nhello',
  'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
)

const code = (answer: Awaited<ReturnType<typeof ask>>) => JSON.parse(answer?.body ?? '{}').code

describe('a gate that does not clearly allow', () => {
  const silent = () => new Promise<never>(() => {})
  const answers: [string, () => Promise<Verdict>][] = [
    [
      'throws at once',
      () => {
        throw new Error(REAL_KEY)
      },
    ],
    ['rejects', () => Promise.reject(new Error(REAL_KEY))],
    ['never answers', silent],
    ['answers nothing', async () => undefined as never],
    ['answers null', async () => null as never],
    ['answers true', async () => true as never],
    ['answers another kind', async () => ({ kind: 'yes' }) as never],
    ['refuses without a refusal', async () => ({ kind: 'refuse' }) as never],
    ['wants to inspect without a limit', async () => ({ kind: 'inspect' }) as never],
    ['wants to inspect twice', async () => ({ kind: 'inspect', limit: 100 })],
    [
      'sets a framing field',
      async () => world.allow({ set: [['content-length', new Secret('9')]] }),
    ],
    [
      'sets a hop-by-hop field',
      async () => world.allow({ set: [['connection', new Secret('x')]] }),
    ],
    [
      'sets a field with a line end',
      async () => world.allow({ set: [['x-a', new Secret('a\r\nb: c')]] }),
    ],
    [
      'sets a field with a broken name',
      async () => world.allow({ set: [['x a', new Secret('a')]] }),
    ],
    [
      'names no usable upstream',
      async () => world.allow({ upstream: { origin: 'ftp://api.test' } }),
    ],
    [
      'names an upstream with a path',
      async () => world.allow({ upstream: { origin: 'https://api.test/x' } }),
    ],
  ]
  for (const [name, judging] of answers) {
    for (const raw of [REQUEST, CHUNKED]) {
      it(`denies when it ${name}, ${raw === CHUNKED ? 'asked by the head' : 'shown it all'}`, async () => {
        world.judging = judging
        const answer = await ask(raw)
        expect(answer?.status).toBe(403)
        expect(code(answer)).toBe('operation_denied')
        expect(answer?.head).toMatch(/broker-decision: deny/i)
        expect(answer?.body).not.toContain(REAL_KEY)
        expect(world.reached).toBe(0)
      })
    }
  }

  it('denies when it replaces a body it has not seen', async () => {
    world.judging = async () => world.allow({ body: Buffer.from('x') })
    expect(code(await ask(CHUNKED))).toBe('operation_denied')
    expect(world.judged[0]?.body).toBeUndefined()
    expect(world.reached).toBe(0)
  })

  it('denies when it wants to see what it was shown', async () => {
    world.judging = async () => ({ kind: 'inspect', limit: 5 })
    expect(code(await ask())).toBe('operation_denied')
    expect(world.judged).toHaveLength(1)
    expect(world.reached).toBe(0)
  })

  it('denies when it never answers the second time, however long the body took', async () => {
    world.judging = async ({ body }) => (body ? silent() : { kind: 'inspect', limit: 100 })
    const socket = await world.tls()
    const [head = '', body = ''] = REQUEST.split(/(?=hello)/)
    socket.write(head)
    await until('the first question', () => world.judged.length === 1)
    // Longer than an answer may take: the time for the second one begins with the question.
    await new Promise((over) => setTimeout(over, 300))
    socket.write(body)
    const answer = await answerOn(socket)
    expect(code(answer)).toBe('operation_denied')
    expect(answer?.body).toContain('did not decide in time')
    expect(world.judged).toHaveLength(2)
    expect(world.reached).toBe(0)
  })

  it('denies what is inspected and over the limit, however it comes', async () => {
    world.judging = async ({ body }) =>
      body && body.byteLength <= 4 ? world.allow() : { kind: 'inspect', limit: 4 }
    for (const raw of [REQUEST, CHUNKED]) expect(code(await ask(raw))).toBe('request_too_large')
    expect(world.judged).toHaveLength(2)
    expect(world.reached).toBe(0)
  })

  const routes: [string, () => Promise<Route>][] = [
    [
      'throws',
      () => {
        throw new Error(REAL_KEY)
      },
    ],
    ['never answers', silent],
    ['answers another kind', async () => ({ kind: 'yes' }) as never],
    ['answers nothing', async () => undefined as never],
  ]
  for (const [name, routing] of routes) {
    it(`lets no connection open when it ${name}`, async () => {
      world.routing = routing
      const socket = await world.raw()
      socket.write('CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n')
      const answer = await answerOn(socket)
      expect(answer?.status).toBe(403)
      expect(code(answer)).toBe('egress_denied')
      expect(answer?.body).not.toContain(REAL_KEY)
    })
  }
})

describe('a gate that refuses', () => {
  it('has its own words sent, and nothing upstream', async () => {
    world.judging = async () => ({ kind: 'refuse', refusal: GATE_REFUSAL })
    const answer = await ask()
    expect(answer?.status).toBe(403)
    expect(answer?.body).toBe(GATE_REFUSAL.body)
    expect(answer?.head).toMatch(/broker-decision: deny/i)
    expect(world.reached).toBe(0)
    expect(world.refusals).toEqual([]) // it knows: it said so itself
  })

  it('refuses after inspection as before it', async () => {
    world.judging = async ({ body }) =>
      body ? { kind: 'refuse', refusal: GATE_REFUSAL } : { kind: 'inspect', limit: 100 }
    for (const raw of [REQUEST, CHUNKED]) {
      expect((await ask(raw))?.body).toBe(GATE_REFUSAL.body)
      expect(Buffer.from(world.judged.at(-1)?.body ?? []).toString()).toBe('hello')
    }
    expect(world.reached).toBe(0)
  })

  for (const [name, refusal] of [
    ['an impossible status', { ...GATE_REFUSAL, status: 99_999 }],
    ['a broken field', { ...GATE_REFUSAL, fields: [['x a', 'b\r\nc']] as const }],
    ['no body', { status: 403, fields: [] } as never],
  ] as const) {
    it(`with ${name} has the connection cut, and the next one served`, async () => {
      world.judging = async () => ({ kind: 'refuse', refusal })
      const answer = await ask()
      expect(answer?.status ?? 403).toBe(403)
      expect(world.reached).toBe(0)
      world.routing = async () => ({ kind: 'refuse', refusal })
      const socket = await world.raw()
      socket.write('CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n')
      expect(await readUntil(socket)).toBe('') // nothing half written
      world.clear()
      expect((await ask())?.status).toBe(200)
    })
  }

  it('is answered on the same connection again and again', async () => {
    const socket = await world.tls()
    world.judging = async () => ({ kind: 'refuse', refusal: GATE_REFUSAL })
    socket.write(REQUEST)
    expect((await answerOn(socket))?.status).toBe(403)
    world.judging = async () => world.allow()
    socket.write(REQUEST)
    expect((await answerOn(socket))?.status).toBe(200)
    expect(world.api.arrived).toHaveLength(1)
  })

  it('is not asked for the body by a client that waits', async () => {
    world.judging = async () => ({ kind: 'refuse', refusal: GATE_REFUSAL })
    const socket = await world.tls()
    socket.write(
      'POST /x HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    )
    const answer = await answerOn(socket)
    expect(answer?.status).toBe(403)
    expect(answer?.head).toMatch(/connection: close/i)
  })
})

describe('an allowed request', () => {
  it('is given its time for each question, not for both together', async () => {
    world.judging = async ({ body }) => {
      await new Promise((over) => setTimeout(over, 120))
      return body ? world.allow() : { kind: 'inspect', limit: 100 }
    }
    expect((await ask(CHUNKED))?.status).toBe(200)
  })

  it('is asked for once where all of it came together, and twice where it did not', async () => {
    world.judging = async ({ body }) => (body ? world.allow() : { kind: 'inspect', limit: 100 })
    expect((await ask())?.status).toBe(200)
    expect(world.judged).toHaveLength(1)
    expect((await ask(CHUNKED))?.status).toBe(200)
    expect(world.judged).toHaveLength(3)
    const waiting = REQUEST.replace('X-Phantom', 'Expect: 100-continue\r\nX-Phantom')
    const socket = await world.tls()
    socket.write(waiting)
    expect(await readUntil(socket, (text) => text.includes('200'))).toMatch(/^HTTP\/1.1 100 /)
    expect(world.judged).toHaveLength(5)
  })

  it('goes whole where it was shown and nobody wanted to see it', async () => {
    expect((await ask())?.status).toBe(200)
    expect(world.api.arrived[0]?.body.toString()).toBe('hello')
    expect(world.judged).toHaveLength(1)
  })

  it('has the inspected body whole, whether it comes with the head or in pieces', async () => {
    const [head = '', body = ''] = REQUEST.split(/(?=hello)/)
    const socket = await world.tls()
    for (const pieces of [[REQUEST], [head, body], [`${head}he`, 'l', 'lo'], [REQUEST]]) {
      world.clear()
      world.judging = async ({ body }) => (body ? world.allow() : { kind: 'inspect', limit: 100 })
      const answer = answerOn(socket)
      for (const piece of pieces) {
        socket.write(piece)
        await until('it is read', () => world.judged.length > 0)
      }
      expect((await answer)?.status).toBe(200)
      expect(world.api.arrived[0]?.body.toString()).toBe('hello')
    }
  })

  it('does not leave before the gate has answered', async () => {
    let answer = (_: Verdict) => {}
    world.judging = () => new Promise((resolve) => (answer = resolve))
    const asked = ask()
    await until('the gate is asked', () => world.judged.length === 1)
    expect(world.reached).toBe(0)
    answer(world.allow())
    expect((await asked)?.status).toBe(200)
  })

  it('carries the real credential, and the phantom nowhere', async () => {
    expect((await ask())?.status).toBe(200)
    const [arrived] = world.api.arrived
    expect(arrived?.fields.join('\n')).toContain(`Bearer ${REAL_KEY}`)
    expect(JSON.stringify(arrived)).not.toContain(PHANTOM)
    expect(JSON.stringify([world.outcomes, world.refusals])).not.toContain(PHANTOM)
  })

  it('arrives without hop-by-hop fields and without any that are ours', async () => {
    await ask(
      'GET /x HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nBroker-Lease: x\r\nAccept: */*\r\n\r\n',
    )
    const names = world.api.arrived[0]?.fields.filter((_, at) => at % 2 === 0)
    expect(names).toEqual(['host', 'connection', 'accept', 'authorization'])
    expect(world.judged[0]?.fields).toEqual([['accept', '*/*']])
  })

  it('goes with the body the gate put in the place of the inspected one', async () => {
    world.judging = async ({ body }) =>
      body ? world.allow({ body: Buffer.from('{"judged":true}') }) : { kind: 'inspect', limit: 100 }
    expect((await ask())?.status).toBe(200)
    expect(world.api.arrived[0]?.body.toString()).toBe('{"judged":true}')
  })

  it('has its outcome told once, with bytes and without fields', async () => {
    await ask()
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]).toMatchObject({
      kind: 'request',
      status: 200,
      bytesUp: 5,
      end: 'complete',
      request: { id: world.judged[0]?.id, method: 'POST', host: 'api.test', path: '/x' },
    })
    expect(world.outcomes[0]?.request).not.toHaveProperty('fields')
  })
})

describe('an upstream', () => {
  const other = (upstream: { origin: string; ca?: string; reserved?: boolean }) => {
    world.judging = async () => world.allow({ upstream })
  }

  it('whose certificate nobody vouches for gets nothing', async () => {
    other({ origin: `https://api.test:${world.api.port}`, reserved: true })
    const answer = await ask()
    expect(answer?.status).toBe(502)
    expect(code(answer)).toBe('upstream_failed')
    expect(world.reached).toBe(0)
  })

  it('whose certificate is for another name gets nothing', async () => {
    other({ origin: `https://b.test:${world.api.port}`, ca: world.upstreamCa.pem, reserved: true })
    expect((await ask())?.status).toBe(502)
    expect(world.reached).toBe(0)
  })

  it('is verified even where the environment says not to', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      other({
        origin: `https://b.test:${world.api.port}`,
        ca: world.upstreamCa.pem,
        reserved: true,
      })
      expect((await ask())?.status).toBe(502)
      expect(world.reached).toBe(0)
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    }
  })

  it('at a loopback address is refused unless the gate says it may be', async () => {
    other({ origin: `https://api.test:${world.api.port}`, ca: world.upstreamCa.pem })
    const answer = await ask()
    expect(answer?.status).toBe(403)
    expect(code(answer)).toBe('egress_denied')
    expect(world.reached).toBe(0)
    // Nor does it help that the same place was allowed to another request just before.
    world.judging = async () => world.allow()
    expect((await ask())?.status).toBe(200)
    other({ origin: `https://api.test:${world.api.port}`, ca: world.upstreamCa.pem })
    expect(code(await ask())).toBe('egress_denied')
  })

  it('that is the proxy itself is refused whatever the gate says', async () => {
    other({ origin: `http://api.test:${world.listener.port}`, reserved: true })
    const answer = await ask()
    expect(answer?.status).toBe(403)
    expect(code(answer)).toBe('egress_denied')
    expect(answer?.body).toContain('proxy itself')
  })

  it('that cannot be reached is a 502', async () => {
    other({ origin: 'http://api.test:1', reserved: true })
    expect((await ask())?.status).toBe(502)
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]?.end).toBe('upstream_failed')
  })

  it('that drops the connection is a 502', async () => {
    expect((await ask('GET /drop HTTP/1.1\r\nHost: api.test\r\n\r\n'))?.status).toBe(502)
  })

  it('that breaks off in the middle is seen to break off', async () => {
    const socket = await world.tls()
    socket.write('GET /break HTTP/1.1\r\nHost: api.test\r\n\r\n')
    expect(await readUntil(socket)).toMatch(/200[\s\S]*content-length: 100[\s\S]*half$/i)
    await until('the outcome', () => world.outcomes.length === 1)
    expect(world.outcomes[0]).toMatchObject({ status: 200, end: 'upstream_failed' })
  })

  it('cannot forge a decision, nor send ways around the proxy', async () => {
    const answer = await ask('GET /forge HTTP/1.1\r\nHost: api.test\r\n\r\n')
    expect(answer?.head).not.toMatch(/broker-decision|proxy-authenticate|alt-svc|x-private/i)
    expect(answer?.head).toMatch(/set-cookie: a=1\r\nset-cookie: b=2/i)
    expect(answer?.head).toContain('caf\u00e9')
  })

  it('may redirect, and the proxy does not follow', async () => {
    const answer = await ask('GET /moved HTTP/1.1\r\nHost: api.test\r\n\r\n')
    expect(answer?.status).toBe(302)
    expect(world.api.arrived).toHaveLength(1)
  })
})
