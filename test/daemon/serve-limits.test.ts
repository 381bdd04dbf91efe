import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Served } from '../fixtures/serve.ts'
import { ask, exchange, exchangeForm, newToken, policy, Raw } from './serve-world.ts'

const LIMITS = {
  connections: 60,
  connectionsPerAddress: 20,
  handshakeMs: 700,
  headMs: 700,
  requestMs: 900,
  idleMs: 700,
  quietMs: 900,
  beginMs: 700,
  subject: { burst: 5, perMinute: 6 },
  failures: { burst: 5, perMinute: 6 },
}

let served: Served
beforeAll(async () => {
  served = await Served.start(policy, { limits: LIMITS })
})
afterAll(() => served?.dispose())

const open: Raw[] = []
afterEach(async () => {
  for (const raw of open) raw.socket.destroy()
  await Promise.all(open.splice(0).map(({ closed }) => closed))
})

async function raw(from?: string): Promise<Raw> {
  const made = await Raw.tls(served, from)
  if (!made) throw new Error('the server hung up')
  open.push(made)
  return made
}

const HEAD = 'POST /oauth/token HTTP/1.1\r\nhost: x\r\n'
const FORM = `${HEAD}content-type: application/x-www-form-urlencoded\r\n`

describe('who sends too much', () => {
  it('in the body of a form is refused', async () => {
    const form = exchangeForm('x', { reason: 'r'.repeat(64 * 1024) })
    const answer = await exchange(served, form, { from: '127.0.0.9' })
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
    expect(answer.body.error_description).toContain('FST_ERR_CTP_BODY_TOO_LARGE')
  })

  it('in a body of no stated length is refused, and not read on', async () => {
    const one = await raw()
    one.write(`${FORM}transfer-encoding: chunked\r\n\r\n`)
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    for (let i = 0; i < 100; i++) one.write(chunk)
    await one.closed
    expect(one.text).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('in its head is refused', async () => {
    const one = await raw()
    one.write(`GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(17 * 1024)}\r\n\r\n`)
    await one.closed
    expect(one.text).toMatch(/^HTTP\/1\.1 431 /)
  })
})

describe('who is too slow is cut off', () => {
  it('without a handshake', async () => {
    const one = Raw.tcp(served)
    open.push(one)
    await one.closed
    expect(one.text).toBe('')
  })

  it('without a request', async () => {
    const one = await raw()
    await one.closed
  })

  it('in the middle of a head', async () => {
    const one = await raw()
    one.write('GET /healthz HTTP/1.1\r\nhost: ')
    const drip = setInterval(() => one.write('x'), 50)
    await one.closed
    clearInterval(drip)
    expect(one.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('in the middle of a body', async () => {
    const one = await raw()
    one.write(`${FORM}content-length: 1000\r\n\r\n`)
    const drip = setInterval(() => one.write('x'), 50)
    await one.closed
    clearInterval(drip)
    expect(one.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('after a request, with the next one', async () => {
    const one = await raw()
    one.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    await one.closed
    expect(one.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(one.text).toMatch(/keep-alive/)
  })

  it('in a session, with the first frame, however alive it is', async () => {
    const one = await raw()
    one.write(
      `POST /v1/session HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: broker-session\r\nauthorization: Bearer ${await newToken(served, { sub: 'slow' })}\r\n\r\n`,
    )
    const alive = setInterval(() => one.write('{"type":"ping"}\n'), 50)
    await one.closed
    clearInterval(alive)
    expect(one.text).toMatch(/^HTTP\/1\.1 101 /)
    expect(one.text).toContain('pong')
  })
})

describe('who opens too many connections', () => {
  it('finds no more than so many from one address, and others still find theirs', async () => {
    const many = await Promise.all(
      Array.from({ length: 40 }, () => Raw.tls(served, '127.0.0.2').catch(() => null)),
    )
    for (const one of many) if (one) open.push(one)
    expect(many.filter(Boolean)).toHaveLength(LIMITS.connectionsPerAddress)
    const other = await ask(served, { path: '/healthz', from: '127.0.0.3' })
    expect(other.status).toBe(200)
  })

  it('finds no more than so many in all, and a place again when one is free', async () => {
    const many = await Promise.all(
      Array.from({ length: 80 }, (_, i) =>
        Raw.tls(served, `127.0.1.${1 + (i % 8)}`).catch(() => null),
      ),
    )
    for (const one of many) if (one) open.push(one)
    const got = many.filter((one) => one !== null)
    expect(got).toHaveLength(LIMITS.connections)
    for (const one of got) one.socket.destroy()
    await Promise.all(got.map(({ closed }) => closed))
    expect((await ask(served, { path: '/healthz' })).status).toBe(200)
  })

  it('or sends many requests on one without waiting for answers, gets few of them', async () => {
    const one = await raw()
    one.write('GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(100))
    await one.closed
    expect(one.text.match(/HTTP\/1\.1 200 /g)).toHaveLength(8)
    expect(one.text.match(/HTTP\/1\.1 503 /g)).toHaveLength(1)
  })

  it('sees both counted', async () => {
    const { text } = await ask(served, { path: '/metrics' })
    const count = Number(/broker_refused_total\{what="connection"\} (\d+)/.exec(text)?.[1])
    expect(count).toBeGreaterThanOrEqual(40)
  })
})

describe('who asks too often', () => {
  it('with good tokens of one subject waits, and other subjects do not', async () => {
    const statuses: number[] = []
    for (let i = 0; i < 6; i++) {
      const token = await newToken(served, { sub: 'repo:octo-org/busy' })
      // From everywhere: it is the subject that counts.
      const form = exchangeForm(token)
      const answer = await exchange(served, form, { from: `127.0.2.${1 + i}` })
      statuses.push(answer.status)
      if (answer.status !== 429) continue
      expect(answer.body).toEqual({
        error: 'temporarily_unavailable',
        error_description: 'this subject asks too often',
      })
      expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(9)
      expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(10)
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429])
    const other = await newToken(served, { sub: 'repo:octo-org/calm' })
    expect((await exchange(served, exchangeForm(other))).status).toBe(200)
  })

  it('with bad tokens from one address waits, and a good one from there is let in all the same', async () => {
    const from = '127.0.0.77'
    const bad = async () =>
      exchange(served, exchangeForm(await newToken(served, { aud: 'x' })), { from })
    for (let i = 0; i < 5; i++) expect((await bad()).status).toBe(400)
    const tired = await bad()
    expect(tired).toMatchObject({
      status: 429,
      body: {
        error: 'temporarily_unavailable',
        error_description: 'too many attempts from this address have failed',
      },
    })
    expect(Number(tired.headers['retry-after'])).toBeGreaterThan(0)
    // Of somebody whom no rule lets in, too.
    const stranger = await newToken(served, { ref: 'refs/heads/elsewhere' })
    expect((await exchange(served, exchangeForm(stranger), { from })).status).toBe(429)
    const good = await newToken(served, { sub: 'beside' })
    expect((await exchange(served, exchangeForm(good), { from })).status).toBe(200)
  })

  it('with wrong keys from one address waits, and the right key is let in all the same', async () => {
    const from = '127.0.0.88'
    const wrong = () => ask(served, { path: '/v1/leases', bearer: `bko_${'x'.repeat(43)}`, from })
    for (let i = 0; i < 5; i++) expect((await wrong()).status).toBe(401)
    const tired = await wrong()
    expect(tired).toMatchObject({ status: 429, body: { error: { code: 'rate_limited' } } })
    expect(Number(tired.headers['retry-after'])).toBeGreaterThan(0)
    const right = await ask(served, { path: '/v1/leases', bearer: served.operatorKey, from })
    expect(right.status).toBe(200)
    const { body } = await ask(served, { path: '/v1/audit', bearer: served.operatorKey })
    const refused = body.entries.filter(({ type }: { type: string }) => type === 'caller.refused')
    expect(refused).toHaveLength(5)
    expect(refused[0].data).toEqual({ address: from, reason: 'key_unknown' })
  })

  it('to revoke what nobody knows waits', async () => {
    const from = '127.0.0.99'
    const revoke = () =>
      ask(served, { method: 'POST', path: '/oauth/revoke', form: { token: 'x' }, from })
    for (let i = 0; i < 5; i++) expect((await revoke()).status).toBe(200)
    expect((await revoke()).status).toBe(429)
  })
})
