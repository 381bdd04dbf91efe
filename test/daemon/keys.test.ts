import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROUTES, type RouteName } from '../../src/api/routes.ts'
import { TOKENS_ONLY } from '../fixtures/product.ts'
import { Wired } from './wire.ts'

let broker: Wired
let mine: Awaited<ReturnType<Wired['issue']>>
let other: Awaited<ReturnType<Wired['issue']>>
beforeAll(async () => {
  broker = new Wired()
  await broker.prepare(TOKENS_ONLY)
  mine = await broker.issue()
  other = await broker.issue()
})
afterAll(() => broker?.dispose())

/** Not on a socket of this machine, whoever asks. */
const SERVERS: readonly RouteName[] = ['ready', 'metrics', 'exchange', 'claimLease']
const names = (Object.keys(ROUTES) as RouteName[]).filter((name) => !SERVERS.includes(name))
const guarded = names.filter((name) => ROUTES[name].caller !== 'anyone')
const operatorOnly = names.filter((name) => ROUTES[name].caller === 'operator')

/** The route as a stranger would call it, with a body that would be worth something. */
function call(name: RouteName, bearer: string | undefined, id = mine.lease.id) {
  const { method, path } = ROUTES[name]
  const filled = path.replace(':id', id).replace(':name', 'staging-dev')
  if (name === 'session') {
    return broker.session(bearer ?? null, filled).then(async (wire) => {
      const text = wire.status === 101 ? '' : await wire.rest()
      wire.close()
      return { status: wire.status ?? 0, text, body: text && JSON.parse(text) }
    })
  }
  const body = method === 'POST' ? { body: BODIES[name] ?? {} } : {}
  return broker.ask({ method, path: filled, bearer, ...body })
}

const BODIES: Partial<Record<RouteName, unknown>> = {
  issueLease: { environment: 'staging' },
  planLease: { environment: 'staging' },
  revokeLeases: { all: true },
  connect: { provider: 'postgres', name: 'x', secret: 'x', settings: {}, check: false },
  applyTemplates: { text: 'version: 1\n', baseVersion: 1 },
  checkTemplates: { text: 'version: 1\n' },
  introspect: { token: 'x' },
  oauthRevoke: { token: 'x' },
  unlockVault: { passphrase: 'x' },
}

describe('who may call what', () => {
  it('is the operator, but for these routes', () => {
    const open = names.filter((name) => ROUTES[name].caller === 'anyone')
    expect(open).toEqual(['health', 'jwks', 'metadata'])
    expect(guarded.filter((name) => !operatorOnly.includes(name))).toEqual([
      'listLeases',
      'showLease',
      'issueLease',
      'planLease',
      'ackLease',
      'session',
    ])
  })

  it.each(SERVERS)('%s is of a server alone', async (name) => {
    const answer = await call(name, broker.operator)
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } })
  })

  it.each(guarded)('%s refuses a caller without a key', async (name) => {
    const answer = await call(name, undefined)
    expect(answer.status).toBe(401)
    expect(answer.body.error).toMatchObject({
      code: 'unauthorized',
      message: 'this request carries no key',
    })
  })

  it.each(guarded)('%s refuses a wrong key', async (name) => {
    for (const wrong of [`bko_${'A'.repeat(43)}`, broker.operator.slice(0, -1), 'x']) {
      const answer = await call(name, wrong)
      expect(answer.status).toBe(401)
      expect(answer.body.error).toMatchObject({
        code: 'unauthorized',
        message: 'this key is not the one of this broker',
      })
      expect(answer.text).not.toContain(wrong.length > 1 ? wrong : 'bko_')
    }
  })

  it.each(guarded)('%s refuses a handle that no lease has', async (name) => {
    const answer = await call(name, `bkh_${'A'.repeat(43)}`)
    expect(answer.status).toBe(410)
    expect(answer.body.error.code).toBe('lease_ended')
  })

  it.each(operatorOnly)('%s refuses a task', async (name) => {
    const answer = await call(name, mine.handle)
    expect(answer.status).toBe(403)
    expect(answer.body.error).toMatchObject({ code: 'denied', message: 'a task may not do this' })
  })

  it.each(guarded)(
    '%s answers a key that is not in the Authorization header with 401',
    async (name) => {
      const { method, path } = ROUTES[name]
      const filled = path.replace(':id', mine.lease.id).replace(':name', 'x')
      const key = broker.operator
      const headers = { cookie: `authorization=${key}`, 'x-api-key': key }
      const target = `${filled}?access_token=${key}&authorization=Bearer%20${key}`
      const answer = await broker.ask({ method, path: target, bearer: undefined, headers })
      expect(answer.status).toBe(name === 'session' ? 404 : 401)
    },
  )

  it.each(guarded)('%s does not read the body of a caller without a key', async (name) => {
    if (ROUTES[name].method !== 'POST' || name === 'session') return
    const { path } = ROUTES[name]
    const filled = path.replace(':id', mine.lease.id).replace(':name', 'x')
    const answer = await broker.ask({ method: 'POST', path: filled, bearer: undefined, body: '{' })
    expect(answer.status).toBe(401)
  })

  it('nothing happened through all of these', async () => {
    const { body } = await broker.ask({ path: '/v1/leases' })
    const ids = body.leases.map((lease: { id: string }) => lease.id)
    expect(ids.toSorted()).toEqual([mine.lease.id, other.lease.id].toSorted())
    expect((await broker.ask({ path: '/v1/templates' })).body.configVersion).toBe(1)
    expect((await broker.ask({ path: '/v1/connections' })).body.connections).toEqual([])
  })

  it.each(['health', 'jwks', 'metadata'] as const)(
    '%s answers anyone, and tells no secret',
    async (name) => {
      const answer = await call(name, undefined)
      expect(answer.status).toBe(200)
      expect(answer.text).not.toContain(broker.operator)
      expect(answer.text).not.toMatch(/"d"/) // the private part of a key (RFC 8037 §2)
    },
  )
})

describe('what a task sees', () => {
  it('of the leases, its own alone', async () => {
    for (const query of ['', '?state=all', '?environment=staging', `?cursor=${other.lease.id}`]) {
      const { body } = await broker.ask({ path: `/v1/leases${query}`, bearer: mine.handle })
      expect(body.leases.map((lease: { id: string }) => lease.id)).toEqual([mine.lease.id])
    }
  })

  it('of another lease, not even that it exists', async () => {
    const nobody = `lse_${'0'.repeat(26)}`
    const real = await call('showLease', mine.handle, other.lease.id)
    const made = await call('showLease', mine.handle, nobody)
    expect(real.status).toBe(404)
    expect(real.text.replaceAll(other.lease.id, 'ID')).toBe(made.text.replaceAll(nobody, 'ID'))
  })

  it('cannot acknowledge for another', async () => {
    const body = { environment: 'staging' }
    const fresh = await broker.ask({ method: 'POST', path: '/v1/leases', body })
    const { id } = fresh.body.lease
    const ack = { method: 'POST', path: `/v1/leases/${id}/ack` }
    const answer = await broker.ask({ ...ack, bearer: mine.handle })
    expect(answer.status).toBe(404)
    expect((await broker.ask({ ...ack })).status).toBe(200)
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${id}` })
  })

  it('nothing any more once its lease has ended', async () => {
    const short = await broker.issue()
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${short.lease.id}` })
    const answer = await broker.ask({ path: '/v1/leases', bearer: short.handle })
    expect(answer.status).toBe(410)
    expect(answer.body.error).toMatchObject({
      code: 'lease_ended',
      message: 'the lease of this task has ended',
    })
  })
})
