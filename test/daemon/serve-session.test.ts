import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Served } from '../fixtures/serve.ts'
import { ask, exchange, exchangeForm, LEASE_TOKEN, newToken, policy, Raw } from './serve-world.ts'

let served: Served
beforeAll(async () => {
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said, for the test to look at
type Frame = any

/** An upgraded connection, a frame at a time. */
class Line {
  readonly raw: Raw
  #read = 0

  constructor(raw: Raw) {
    this.raw = raw
  }

  static async open(
    bearer: string,
    path = '/v1/session',
    protocol = 'broker-session',
  ): Promise<Line> {
    const raw = await Raw.tls(served)
    if (!raw) throw new Error('the server hung up')
    raw.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\nauthorization: Bearer ${bearer}\r\ncontent-length: 0\r\n\r\n`,
    )
    const line = new Line(raw)
    await expect.poll(() => raw.text, { timeout: 20_000 }).toContain('\r\n\r\n')
    line.#read = raw.text.indexOf('\r\n\r\n') + 4
    return line
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.raw.text)?.[1])
  }

  send(frame: Frame): void {
    this.raw.write(`${JSON.stringify(frame)}\n`)
  }

  async next(): Promise<Frame> {
    await expect.poll(() => this.raw.text.slice(this.#read), { timeout: 20_000 }).toContain('\n')
    const end = this.raw.text.indexOf('\n', this.#read)
    const frame = JSON.parse(this.raw.text.slice(this.#read, end))
    this.#read = end + 1
    return frame
  }

  /** A lease whose credentials were received. */
  async lease(wish: object = {}): Promise<Frame> {
    this.send({ type: 'request', request: { environment: 'ci', template: 'deploy', ...wish } })
    const frame = await this.next()
    if (frame.type !== 'lease') return frame
    this.send({ type: 'ack' })
    expect(await this.next()).toEqual({ type: 'bound' })
    return frame
  }
}

const stateOf = async (id: string) =>
  (await ask(served, { path: `/v1/leases/${id}`, bearer: served.operatorKey })).body.state

describe('a session is refused', () => {
  it.each([
    [
      'with a token that no rule lets in',
      async () => newToken(served, { aud: 'x' }),
      401,
      'subject_refused',
    ],
    ['with a wrong key', async () => `bko_${'x'.repeat(43)}`, 401, 'unauthorized'],
    ['with a handle that nobody has', async () => `bkh_${'x'.repeat(43)}`, 401, 'lease_ended'],
  ] as const)('%s', async (_name, bearer, _status, code) => {
    const line = await Line.open(await bearer())
    await line.raw.closed
    expect(line.status).toBeGreaterThanOrEqual(400)
    expect(line.raw.text).toContain(`"code":"${code}"`)
  })

  it('at isolation above scrub, which a server cannot see', async () => {
    for (const isolation of ['mask', 'confine']) {
      const line = await Line.open(await newToken(served))
      expect(await line.lease({ isolation })).toMatchObject({
        type: 'error',
        error: { code: 'isolation_unavailable' },
      })
    }
  })

  it('and closed then, however long the other side goes on', async () => {
    const line = await Line.open(await newToken(served))
    const alive = setInterval(() => line.send({ type: 'ping' }), 50)
    expect(await line.lease({ isolation: 'mask' })).toMatchObject({ type: 'error' })
    await line.raw.closed
    clearInterval(alive)
  })

  it('by a template that needs walls', async () => {
    const line = await Line.open(await newToken(served))
    expect(await line.lease({ environment: 'production', template: 'walled' })).toMatchObject({
      type: 'error',
      error: { code: 'isolation_unavailable' },
    })
  })

  it('with a token that was used', async () => {
    const token = await newToken(served)
    expect((await exchange(served, exchangeForm(token))).status).toBe(200)
    const line = await Line.open(token)
    expect(await line.lease()).toMatchObject({ type: 'error', error: { code: 'token_replayed' } })
  })
})

describe('a session', () => {
  it('gives what a task elsewhere can use, and ends its lease at its end', async () => {
    const line = await Line.open(await newToken(served))
    expect(line.status).toBe(101)
    const frame = await line.lease()
    expect(frame).toMatchObject({ place: null, proxy: null, relay: null })
    expect(Object.keys(frame.variables)).not.toContain('BROKER_SOCKET')
    line.send({ type: 'end', exitCode: 0, signal: null })
    expect(await line.next()).toMatchObject({ type: 'ended', lease: { state: 'revoked' } })
  })

  it('that is hung up on ends its lease', async () => {
    const line = await Line.open(await newToken(served))
    const { lease } = await line.lease()
    line.raw.socket.end()
    await expect.poll(() => stateOf(lease.id), { timeout: 10_000 }).toBe('revoked')
  })

  it('of which nothing is heard any more ends its lease, though nobody hung up', async () => {
    const line = await Line.open(await newToken(served))
    const { lease } = await line.lease()
    await line.raw.closed
    expect(await stateOf(lease.id)).toBe('active')
    await expect.poll(() => stateOf(lease.id), { timeout: 20_000 }).toBe('revoked')
  })

  it('comes back with its secret, by the handle of its lease', async () => {
    const line = await Line.open(await newToken(served))
    const { lease, secret, variables } = await line.lease()
    const wrong = await Line.open(variables.BROKER_HANDLE)
    wrong.send({ type: 'resume', lease: lease.id, secret: 'x' })
    expect(await wrong.next()).toMatchObject({ type: 'error', error: { code: 'denied' } })
    line.raw.socket.destroy()
    const again = await Line.open(variables.BROKER_HANDLE)
    again.send({ type: 'resume', lease: lease.id, secret })
    expect(await again.next()).toMatchObject({ type: 'resumed' })
    expect(await stateOf(lease.id)).toBe('active')
    again.send({ type: 'end', exitCode: 0, signal: null })
    expect(await again.next()).toMatchObject({ type: 'ended' })
  })

  it('comes back after a restart of the server', async () => {
    const line = await Line.open(await newToken(served))
    const { lease, secret, variables } = await line.lease()
    expect(await served.stop()).toBe(0)
    await line.raw.closed
    await served.launch()
    const again = await Line.open(variables.BROKER_HANDLE)
    again.send({ type: 'resume', lease: lease.id, secret })
    expect(await again.next()).toMatchObject({ type: 'resumed' })
    again.raw.socket.destroy()
  })
})

describe('the way to a proxy', () => {
  it('is not found but with the credential of its own lease', async () => {
    const open = async () => {
      const form = exchangeForm(await newToken(served), { requested_token_type: LEASE_TOKEN })
      return (await exchange(served, form)).body
    }
    const [one, other] = [await open(), await open()]
    const path = `/v1/leases/${other.lease_id}/proxy`
    for (const bearer of [one.access_token, served.operatorKey]) {
      const line = await Line.open(bearer, path, 'broker-proxy')
      await line.raw.closed
      expect(line.status).toBe(404)
    }
    const token = await Line.open(await newToken(served), path, 'broker-proxy')
    expect(token.status).toBe(401)
  })

  it('says when the lease has none', async () => {
    const form = exchangeForm(await newToken(served), { requested_token_type: LEASE_TOKEN })
    const { body } = await exchange(served, form)
    const line = await Line.open(
      body.access_token,
      `/v1/leases/${body.lease_id}/proxy`,
      'broker-proxy',
    )
    await line.raw.closed
    expect(line.status).toBe(503)
  })

  it.each([
    ['/v1/session', 'broker-proxy'],
    ['/v1/session/', 'broker-session'],
    ['/v1/session?x', 'broker-session'],
    ['/v1/session', 'websocket'],
    ['/oauth/token', 'broker-session'],
  ])('%s with "%s" is no way to anything', async (path, protocol) => {
    const line = await Line.open(served.operatorKey, path, protocol)
    await line.raw.closed
    expect(line.status).toBe(404)
  })
})
