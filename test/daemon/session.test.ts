import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { TOKENS_ONLY } from '../fixtures/product.ts'
import { type Wire, Wired } from './wire.ts'

let broker: Wired
beforeAll(async () => {
  broker = new Wired()
  await broker.prepare(TOKENS_ONLY)
})
afterAll(() => broker?.dispose())

const REQUEST = { type: 'request', request: { environment: 'staging' } }
const OUT_OF_ORDER = { code: 'invalid_request', message: 'this frame does not belong here' }

async function refused(wire: Wire, error: object): Promise<void> {
  expect(await wire.next()).toMatchObject({ type: 'error', error })
  expect(await wire.next()).toBeUndefined()
}

/** A session that holds a lease. */
async function bound(): Promise<{ wire: Wire; id: string; secret: string }> {
  const wire = await broker.session()
  wire.send(REQUEST)
  const { lease, secret } = await wire.next()
  wire.send({ type: 'ack' })
  expect(await wire.next()).toEqual({ type: 'bound' })
  return { wire, id: lease.id, secret }
}

const ended = (id: string) =>
  until(`${id} has ended`, async () => (await broker.stateOf(id)) === 'revoked')

async function entriesOf(id: string): Promise<string[]> {
  const { body } = await broker.ask({ path: `/v1/audit?lease=${id}` })
  return body.entries.map((entry: { type: string }) => entry.type)
}

describe('a session that does not keep to the protocol', () => {
  it('is not opened at another address', async () => {
    const wire = await broker.session(broker.operator, '/v1/leases')
    expect(wire.status).toBe(404)
    expect(await wire.next()).toBeUndefined()
  })

  it('is not opened without an upgrade', async () => {
    const answer = await broker.ask({ method: 'POST', path: '/v1/session', body: REQUEST })
    expect(answer.status).toBe(404)
  })

  const garbage = [
    { name: 'no JSON', line: 'hello' },
    { name: 'nothing', line: '' },
    { name: 'half of a frame', line: '{"type":"request"' },
    { name: 'control characters', line: '\u0000\u0001\u0002' },
    { name: 'HTTP once more', line: 'GET /healthz HTTP/1.1' },
  ]
  it.each(garbage)('is told and ended when it sends $name', async ({ line }) => {
    const wire = await broker.session()
    wire.write(`${line}\n`)
    await refused(wire, OUT_OF_ORDER)
  })

  const wrong = [
    { name: 'null', frame: null },
    { name: 'a list', frame: [REQUEST] },
    { name: 'an unknown type', frame: { type: 'approve' } },
    { name: 'a key that we do not know', frame: { ...REQUEST, operator: true } },
    {
      name: 'a wish that we do not know',
      frame: { type: 'request', request: { environment: 'staging', principal: { id: 'root' } } },
    },
    {
      name: 'an environment that is no text',
      frame: { type: 'request', request: { environment: 7 } },
    },
    { name: 'a pid that is none', frame: { type: 'started', pid: -1 } },
  ]
  it.each(wrong)('is told and ended when it sends $name', async ({ frame }) => {
    const wire = await broker.session()
    wire.send(frame)
    await refused(wire, { code: 'invalid_request' })
  })

  const early = [
    { type: 'ack' },
    { type: 'started', pid: 1 },
    { type: 'detach' },
    { type: 'end', exitCode: 0, signal: null },
  ]
  it.each(early)('is told and ended when $type comes before a lease', async (frame) => {
    const wire = await broker.session()
    wire.send(frame)
    await refused(wire, OUT_OF_ORDER)
  })

  it('loses its lease when it asks for a second one', async () => {
    const { wire, id } = await bound()
    wire.send(REQUEST)
    await refused(wire, OUT_OF_ORDER)
    await ended(id)
    expect((await broker.ask({ path: '/v1/leases' })).body.leases).toEqual([])
  })

  it('loses its lease when it wants to resume another', async () => {
    const one = await bound()
    const two = await bound()
    one.wire.send({ type: 'resume', lease: two.id, secret: two.secret })
    await refused(one.wire, OUT_OF_ORDER)
    await ended(one.id)
    expect(await broker.stateOf(two.id)).toBe('active')
    two.wire.close()
    await ended(two.id)
  })

  it('loses its lease when it sends garbage in the middle', async () => {
    const { wire, id } = await bound()
    wire.write('}{\n')
    await refused(wire, OUT_OF_ORDER)
    await ended(id)
  })

  it.each([
    { name: 'without an end', end: '' },
    { name: 'that would be a frame', end: '}\n' },
  ])('is ended by a line of 1 MB $name', async ({ end }) => {
    const wire = await broker.session()
    wire.write(`{"type":"ping"${' '.repeat(1024 * 1024)}${end}`)
    // What it says may be cut off by our own bytes that nobody reads any more.
    expect(await wire.rest()).not.toContain('pong')
    expect((await broker.ask({ path: '/healthz' })).status).toBe(200)
  })

  it('gets no lease that policy refuses, and the refusal is on record', async () => {
    const wire = await broker.session()
    wire.send({ type: 'request', request: { environment: 'staging', ttlMs: 30 * 86_400_000 } })
    await refused(wire, { code: 'denied' })
    const { body } = await broker.ask({ path: '/v1/leases?state=all&limit=1' })
    expect(body.leases[0]).toMatchObject({ state: 'denied', endReason: 'denied' })
    expect(await entriesOf(body.leases[0].id)).toEqual(['lease.denied'])
  })
})

describe('coming back to a lease', () => {
  const NOT_YOURS = { code: 'denied' }

  it('is refused with a wrong secret, and the holder keeps it', async () => {
    const { wire, id, secret } = await bound()
    const other = await bound()
    for (const guess of ['', 'x', `${secret}x`, secret.slice(0, -1), other.secret]) {
      const stranger = await broker.session()
      stranger.send({ type: 'resume', lease: id, secret: guess })
      await refused(stranger, { ...NOT_YOURS, message: `this session does not hold lease "${id}"` })
    }
    wire.send({ type: 'ping' })
    expect(await wire.next()).toEqual({ type: 'pong' })
    expect(await broker.stateOf(id)).toBe('active')
    wire.close()
    other.wire.close()
    await ended(id)
    await ended(other.id)
  })

  it('is refused for a lease that there is not', async () => {
    const stranger = await broker.session()
    stranger.send({ type: 'resume', lease: `lse_${'0'.repeat(26)}`, secret: 'x' })
    await refused(stranger, NOT_YOURS)
  })

  it('is refused for a lease that never had a session secret to show', async () => {
    const { lease } = await broker.issue()
    const stranger = await broker.session()
    stranger.send({ type: 'resume', lease: lease.id, secret: '' })
    await refused(stranger, NOT_YOURS)
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${lease.id}` })
  })

  it('is refused once the lease has ended', async () => {
    const { wire, id, secret } = await bound()
    wire.send({ type: 'end', exitCode: 3, signal: null })
    while ((await wire.next())?.type !== 'ended');
    const late = await broker.session()
    late.send({ type: 'resume', lease: id, secret })
    await refused(late, { code: 'lease_ended', message: `lease "${id}" is not active any more` })
    expect((await broker.ask({ path: `/v1/leases/${id}` })).body.endNote).toBe('exit 3')
  })

  it('with the right secret takes the lease over, and the old socket’s end changes nothing', async () => {
    const { wire, id, secret } = await bound()
    const next = await broker.session()
    next.send({ type: 'resume', lease: id, secret })
    expect(await next.next()).toMatchObject({ type: 'resumed' })
    expect(await wire.next()).toBeUndefined()
    // Longer than a lost session has.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(await broker.stateOf(id)).toBe('active')
    next.close()
    await ended(id)
  })

  it('within the grace after the socket’s end keeps the lease alive', async () => {
    const { wire, id, secret } = await bound()
    wire.close()
    const next = await broker.session()
    next.send({ type: 'resume', lease: id, secret })
    expect(await next.next()).toMatchObject({ type: 'resumed' })
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(await broker.stateOf(id)).toBe('active')
    next.close()
    await ended(id)
  })
})

describe('a session that keeps to it', () => {
  it('may acknowledge twice; it is recorded once', async () => {
    const { wire, id } = await bound()
    wire.send({ type: 'ack' })
    expect(await wire.next()).toEqual({ type: 'bound' })
    expect((await entriesOf(id)).filter((type) => type === 'lease.delivered')).toHaveLength(1)
    wire.close()
    await ended(id)
  })

  it('is told that it comes too late with its acknowledgement', async () => {
    const wire = await broker.session()
    wire.send(REQUEST)
    const { id } = (await wire.next()).lease
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${id}` })
    expect(await wire.next()).toMatchObject({ type: 'notice', lease: { id, state: 'revoked' } })
    wire.send({ type: 'ack' })
    await refused(wire, { code: 'lease_ended' })
  })

  it('is understood in pieces of any size', async () => {
    const wire = await broker.session()
    for (const byte of JSON.stringify(REQUEST)) {
      wire.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    wire.write('\n{"type":"ack"}\n{"type":"ping"}\n{"type":"started","pid":7}\n{"type":"ping"}\n')
    const types = []
    for (let count = 0; count < 4; count++) types.push((await wire.next()).type)
    expect(types).toEqual(['lease', 'bound', 'pong', 'pong'])
    wire.send({ type: 'end', exitCode: null, signal: 'SIGTERM' })
    const end = await wire.next()
    const last = end.type === 'notice' ? await wire.next() : end
    expect(last).toMatchObject({
      type: 'ended',
      lease: { state: 'revoked', endNote: 'signal SIGTERM', actor: { pid: 7 } },
    })
  })

  it('that lets go keeps its lease until a person ends it', async () => {
    const { wire, id } = await bound()
    wire.send({ type: 'detach' })
    expect(await wire.next()).toEqual({ type: 'detached' })
    wire.close()
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(await broker.stateOf(id)).toBe('active')
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${id}` })
    await ended(id)
  })

  it('tells its variables to nobody else, and the audit log holds none of them', async () => {
    const wire = await broker.session()
    wire.send(REQUEST)
    const { lease, variables, secret } = await wire.next()
    const { text } = await broker.ask({ path: '/v1/audit' })
    const shown = text + (await broker.ask({ path: `/v1/leases/${lease.id}` })).text
    for (const value of [secret, variables.BROKER_HANDLE, variables.BROKER_ACCESS_TOKEN]) {
      expect(value.length).toBeGreaterThan(20)
      expect(shown).not.toContain(value)
    }
    wire.close()
    await ended(lease.id)
  })
})
