import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROUTES, type RouteName } from '../../src/api/routes.ts'
import { Served } from '../fixtures/serve.ts'
import { ask, exchange, exchangeForm, LEASE_TOKEN, newToken, policy } from './serve-world.ts'

let served: Served
beforeAll(async () => {
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())

/** What stays with the machine, whoever holds the operator key. */
const LOCAL: readonly RouteName[] = [
  'daemonStatus',
  'daemonStop',
  'issueLease',
  'planLease',
  'session', // an upgrade, never a plain request
  'listConnections',
  'connect',
  'disconnect',
  'listProviders',
  'doctor',
  'unlockVault',
]

const OPEN: readonly RouteName[] = [
  'health',
  'jwks',
  'metadata',
  'ready',
  'metrics',
  'exchange',
  'oauthRevoke',
]

const names = Object.keys(ROUTES) as RouteName[]
const guarded = names.filter((name) => !LOCAL.includes(name) && !OPEN.includes(name))
const path = (name: RouteName) =>
  ROUTES[name].path.replace(/:\w+/, 'lse_01m7z37vmww9e1aye9y92v1jce')

async function leaseOf(changed = {}): Promise<{ id: string; handle: string }> {
  const form = exchangeForm(await newToken(served, changed), { requested_token_type: LEASE_TOKEN })
  const { body } = await exchange(served, form)
  return { id: body.lease_id, handle: body.access_token }
}

describe('over the network', () => {
  it.each(LOCAL)('%s is not found, with the operator key either', async (name) => {
    const { method } = ROUTES[name]
    const body = method === 'POST' ? { json: {} } : {}
    const answer = await ask(served, {
      method,
      path: path(name),
      bearer: served.operatorKey,
      ...body,
    })
    expect(answer.status).toBe(404)
    expect(answer.body.error.message).toBe('there is no such route')
  })

  it.each(guarded)('%s needs a key', async (name) => {
    const token = await newToken(served)
    for (const bearer of [undefined, `bko_${'x'.repeat(43)}`, `bkh_${'x'.repeat(43)}`, token]) {
      const with_ = bearer === undefined ? {} : { bearer }
      const answer = await ask(served, { method: ROUTES[name].method, path: path(name), ...with_ })
      // Of a lease's credential it is said that its lease is over, whether there was one or not.
      expect(answer.status).toBe(bearer?.startsWith('bkh_') && name !== 'introspect' ? 410 : 401)
    }
  })

  it.each(guarded.filter((name) => ROUTES[name].caller === 'operator' && name !== 'introspect'))(
    '%s is not for the credential of a lease',
    async (name) => {
      const { handle } = await leaseOf()
      const { method } = ROUTES[name]
      const answer = await ask(served, { method, path: path(name), bearer: handle })
      expect(answer).toMatchObject({ status: 403, body: { error: { code: 'denied' } } })
    },
  )

  it('health says how it is and which version, and nothing of the machine', async () => {
    const { status, body } = await ask(served, { path: '/healthz' })
    expect(status).toBe(200)
    expect(Object.keys(body).sort()).toEqual(['status', 'version'])
    expect(body.status).toBe('ok')
  })

  it('no page of another origin is let read anything', async () => {
    const headers = { origin: 'https://evil.example' }
    const answer = await ask(served, { path: '/healthz', headers })
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-'))).toEqual([])
    const preflight = await ask(served, { method: 'OPTIONS', path: '/oauth/token', headers })
    expect(preflight.status).toBe(404)
  })

  it('a lease sees itself alone', async () => {
    const [one, other] = [await leaseOf(), await leaseOf()]
    const at = (id: string) => ask(served, { path: `/v1/leases/${id}`, bearer: one.handle })
    expect((await at(other.id)).status).toBe(404)
    expect((await at(one.id)).body).toMatchObject({
      id: one.id,
      principal: { kind: 'oidc', id: 'repo:octo-org/my-repo:ref:refs/heads/main' },
      run: { repository: 'octo-org/my-repo', ref: 'refs/heads/main' },
    })
    for (const what of ['credentials', 'ack']) {
      const path = `/v1/leases/${other.id}/${what}`
      expect((await ask(served, { method: 'POST', path, bearer: one.handle })).status).toBe(404)
    }
    const { body } = await ask(served, { path: '/v1/leases', bearer: one.handle })
    expect(body.leases.map(({ id }: { id: string }) => id)).toEqual([one.id])
  })

  it('the operator sees all leases and what is applied', async () => {
    const { id } = await leaseOf()
    const bearer = served.operatorKey
    const leases = await ask(served, { path: '/v1/leases?limit=1', bearer })
    expect(leases.body.leases).toMatchObject([{ id, state: 'active' }])
    const templates = await ask(served, { path: '/v1/templates', bearer })
    expect(templates.body.templates.map(({ name }: { name: string }) => name)).toContain('deploy')
    const ended = await ask(served, { method: 'DELETE', path: `/v1/leases/${id}`, bearer })
    expect(ended).toMatchObject({ status: 200, body: { state: 'revoked' } })
  })
})

describe('introspection', () => {
  const introspect = (token: string, authorization?: string) =>
    ask(served, {
      method: 'POST',
      path: '/oauth/introspect',
      form: { token },
      ...(authorization !== undefined && { headers: { authorization } }),
    })
  const basic = (user: string, password: string) =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const bearerToken = async () =>
    (await exchange(served, exchangeForm(await newToken(served)))).body.access_token as string

  it('is refused to strangers, and in OAuth’s own words', async () => {
    const token = await bearerToken()
    for (const authorization of [
      undefined,
      'Bearer x',
      basic('x', 'y'),
      'Basic !',
      `Basic ${served.operatorKey}`,
    ]) {
      const answer = await introspect(token, authorization)
      expect(answer.status).toBe(401)
      expect(answer.body.error).toBe('invalid_client')
      expect(answer.headers['www-authenticate']).toContain('Basic')
      expect(answer.text).not.toContain('active')
    }
  })

  it('tells the operator, by key or as the password of anybody', async () => {
    const token = await bearerToken()
    for (const authorization of [
      `Bearer ${served.operatorKey}`,
      basic('', served.operatorKey),
      basic('someone', encodeURIComponent(served.operatorKey)),
    ]) {
      const answer = await introspect(token, authorization)
      expect(answer).toMatchObject({ status: 200, body: { active: true, iss: served.url } })
      expect(answer.headers['cache-control']).toBe('no-store')
    }
  })

  it('tells a lease of its own tokens, and of others that they are not active', async () => {
    const own = await leaseOf()
    const claimed = await ask(served, {
      method: 'POST',
      path: `/v1/leases/${own.id}/credentials`,
      bearer: own.handle,
    })
    const token = claimed.body.variables.BROKER_ACCESS_TOKEN
    const authorization = `Bearer ${own.handle}`
    expect((await introspect(token, authorization)).body).toMatchObject({ active: true })
    expect((await introspect(await bearerToken(), authorization)).body).toEqual({ active: false })
  })
})

describe('a URL that cannot be decoded', () => {
  it.each(['/%zz', '/v1/leases/%zz-canary', '/oauth/%E0%A4%A'])(
    'is refused as everything else is, and not quoted: %s',
    async (path) => {
      const lines = () => served.log.match(/"route":"none","status":400,"ms":[\d.]+,"id":"/g) ?? []
      const before = lines().length
      const answer = await ask(served, { path })
      expect(answer.status).toBe(400)
      await expect.poll(() => lines().length).toBe(before + 1)
      expect(served.log).not.toContain('%')
      expect(answer.headers['content-type']).toContain('application/problem+json')
      expect(answer.body).toMatchObject({
        type: 'urn:broker:error:invalid_request',
        error: { code: 'invalid_request', hint: expect.any(String) },
      })
      expect(answer.text).not.toMatch(/%|canary/)
    },
  )
})

describe('revocation', () => {
  const revoke = (token: string) =>
    ask(served, { method: 'POST', path: '/oauth/revoke', form: { token } })

  it.each(['x', 'a.b.c', `bkh_${'x'.repeat(43)}`])(
    'knows nothing of "%s", and says so in no word',
    async (token) => {
      const answer = await revoke(token)
      expect(answer).toMatchObject({ status: 200, text: '{}' })
      expect(answer.headers).not.toHaveProperty('broker-lease-state')
    },
  )

  it('by the operator key ends nothing', async () => {
    const { id } = await leaseOf()
    expect((await revoke(served.operatorKey)).status).toBe(200)
    const { body } = await ask(served, { path: `/v1/leases/${id}`, bearer: served.operatorKey })
    expect(body.state).toBe('active')
  })

  it('needs a token', async () => {
    const answer = await ask(served, { method: 'POST', path: '/oauth/revoke', form: { token: '' } })
    expect(answer).toMatchObject({
      status: 400,
      body: { error: 'invalid_request', error_description: "the parameter 'token' is missing" },
    })
  })

  it('by the token or by the handle ends the lease at once', async () => {
    const form = exchangeForm(await newToken(served))
    const { access_token: token, lease_id: first } = (await exchange(served, form)).body
    const second = await leaseOf()
    for (const [held, id] of [
      [token, first],
      [second.handle, second.id],
    ]) {
      const answer = await revoke(held)
      expect(answer.status).toBe(200)
      expect(answer.headers['broker-lease-state']).toBe('revoked')
      const { body } = await ask(served, { path: `/v1/leases/${id}`, bearer: served.operatorKey })
      expect(body).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
    }
    expect((await ask(served, { path: '/v1/leases', bearer: second.handle })).status).toBe(410)
  })
})
