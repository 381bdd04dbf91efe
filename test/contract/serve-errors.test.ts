// Errors of the token endpoint as the RFCs say them, byte by byte.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/lib/json.ts'
import { craft, makeTestKey } from '../fixtures/oidc-issuer.ts'
import { Served } from '../fixtures/serve.ts'
import { exchangeOf, jobClaims, type PostOptions, policy, post, TYPE } from './serve-world.ts'

let served: Served
beforeAll(async () => {
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())

const claims = (changed: JsonObject = {}) => jobClaims(served.issuer.url, served.url, changed)
const newToken = (changed: JsonObject = {}) => served.sign(claims(changed))
const details = (one: object) => JSON.stringify([one])

// Each from an address of its own: strangers who fail too often are slowed down.
let addresses = 2
const ask = (form: Readonly<Record<string, string>> | string, options: PostOptions = {}) =>
  post(served, '/oauth/token', form, { from: `127.0.1.${addresses++}`, ...options })

/** Without the one parameter. */
function leaving(form: Readonly<Record<string, string>>, out: string) {
  return Object.fromEntries(Object.entries(form).filter(([name]) => name !== out))
}

const GRANT = { type: 'broker_grant', identifier: 'api', actions: ['deploy:read'] }

const REFUSED: readonly {
  readonly what: string
  readonly change: Readonly<Record<string, string>>
  readonly error: string
}[] = [
  {
    what: 'another grant type',
    change: { grant_type: 'client_credentials' },
    error: 'unsupported_grant_type',
  },
  {
    what: 'another token type',
    change: { subject_token_type: TYPE.accessToken },
    error: 'invalid_request',
  },
  {
    what: 'a SAML token type',
    change: { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' },
    error: 'invalid_request',
  },
  {
    what: 'an actor token',
    change: { actor_token: 'x', actor_token_type: TYPE.jwt },
    error: 'invalid_request',
  },
  { what: 'an unknown environment', change: { audience: 'nowhere' }, error: 'invalid_target' },
  {
    what: 'a resource that is not ours',
    change: { resource: 'https://elsewhere.example/environments/ci' },
    error: 'invalid_target',
  },
  { what: 'a template for others', change: { scope: 'template:closed' }, error: 'invalid_target' },
  { what: 'an unknown template', change: { scope: 'template:nothing' }, error: 'invalid_target' },
  {
    what: 'a template of another environment',
    change: { scope: 'template:report' },
    error: 'invalid_target',
  },
  { what: 'a scope that is no template', change: { scope: 'openid' }, error: 'invalid_scope' },
  {
    what: 'two scopes',
    change: { scope: 'template:deploy template:release' },
    error: 'invalid_scope',
  },
  {
    what: 'an environment where several templates fit',
    change: { audience: 'production' },
    error: 'invalid_scope',
  },
  {
    what: 'details that are no JSON',
    change: { authorization_details: '[' },
    error: 'invalid_authorization_details',
  },
  {
    what: 'details that are no list',
    change: { authorization_details: JSON.stringify(GRANT) },
    error: 'invalid_authorization_details',
  },
  {
    what: 'details of an unknown type',
    change: { authorization_details: details({ ...GRANT, type: 'payment' }) },
    error: 'invalid_authorization_details',
  },
  {
    what: 'details with an unknown member',
    change: { authorization_details: details({ ...GRANT, locations: [] }) },
    error: 'invalid_authorization_details',
  },
  {
    what: 'details of an unknown grant',
    change: { authorization_details: details({ ...GRANT, identifier: 'db' }) },
    error: 'invalid_authorization_details',
  },
  {
    what: 'details that ask for more',
    change: { authorization_details: details({ ...GRANT, actions: ['deploy:admin'] }) },
    error: 'invalid_authorization_details',
  },
  {
    what: 'an unknown requested type',
    change: { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    error: 'invalid_request',
  },
  { what: 'a ttl that is no number', change: { ttl: '15m' }, error: 'invalid_request' },
  { what: 'a ttl beyond the template’s', change: { ttl: '86400' }, error: 'invalid_request' },
]

describe('an exchange is refused', () => {
  it.each(REFUSED)('for $what: $error', async ({ change, error }) => {
    const token = await newToken()
    const { status, headers, text, body } = await ask(exchangeOf(token, change))
    expect([body['error'], status]).toEqual([error, 400])
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'content-type': expect.stringMatching(/^application\/json\b/),
    })
    // RFC 6749 §5.2: these characters and no others.
    expect(body['error_description']).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
    expect(Object.keys(body).filter((key) => !key.startsWith('error'))).toEqual([])
    expect(text).not.toContain(token)
    // Nothing was used up: the same token still does what it is good for.
    expect((await ask(exchangeOf(token))).status).toBe(200)
  })

  it.each(['grant_type', 'subject_token', 'subject_token_type', 'audience'])(
    'without %s: invalid_request',
    async (name) => {
      const { status, body } = await ask(leaving(exchangeOf(await newToken()), name))
      expect([body['error'], status]).toEqual(['invalid_request', 400])
      expect(body['error_description']).toContain(name === 'audience' ? 'environment' : name)
    },
  )

  it.each(['grant_type', 'subject_token', 'scope', 'ttl', 'authorization_details'])(
    'with %s twice: invalid_request',
    async (name) => {
      const form = new URLSearchParams(exchangeOf(await newToken(), { scope: 'template:deploy' }))
      form.append(name, form.get(name) ?? '60')
      form.append(name, form.get(name) ?? '60')
      const { status, body } = await ask(form.toString())
      expect([body['error'], status]).toEqual(['invalid_request', 400])
    },
  )

  it('for two environments at once: invalid_target', async () => {
    const form = new URLSearchParams(exchangeOf(await newToken()))
    form.append('audience', 'production')
    expect((await ask(form.toString())).body).toMatchObject({ error: 'invalid_target' })
  })

  it('as JSON, or with nothing in it: invalid_request', async () => {
    const json = JSON.stringify(exchangeOf(await newToken()))
    const headers = { 'content-type': 'application/json' }
    for (const reply of [await ask(json, { headers }), await ask(''), await ask('%%%=&&&')]) {
      expect([reply.body['error'], reply.status]).toEqual(['invalid_request', 400])
    }
  })

  it('alike for a stranger, a forgery and a stale token: nobody learns what would be let in', async () => {
    const forger = makeTestKey(served.signer.kid)
    const head = { alg: 'RS256', kid: forger.kid, typ: 'JWT' }
    const past = Math.floor(Date.now() / 1000) - 400
    const replies = [
      await ask(exchangeOf(await newToken({ repository_id: '2' }))),
      await ask(exchangeOf(await newToken({ event_name: 'pull_request_target' }))),
      await ask(exchangeOf(await newToken({ aud: 'https://other.example' }))),
      await ask(exchangeOf(await newToken({ iat: past, exp: past + 300 }))),
      await ask(exchangeOf(craft(forger, head, claims()))),
      await ask(exchangeOf('not.a.token')),
      // Nor what there is.
      await ask(exchangeOf(await newToken({ repository_id: '2' }), { audience: 'nowhere' })),
      await ask(exchangeOf(await newToken({ repository_id: '2' }), { scope: 'template:nothing' })),
    ]
    const texts = new Set(replies.map(({ status, text }) => `${status} ${text}`))
    expect([...texts]).toEqual([
      '400 {"error":"invalid_request","error_description":"the subject token is not accepted"}',
    ])
  })

  it('all but once when it is presented twenty times at the same moment', async () => {
    const token = await newToken()
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask(exchangeOf(token))))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    const others = new Set(replies.map(({ body }) => body['error_description']))
    expect(others).toEqual(new Set([undefined, 'the subject token was used already']))
  })

  it('the second time within the leeway after its end as well', async () => {
    const now = Math.floor(Date.now() / 1000)
    const token = await newToken({ iat: now - 305, exp: now - 5 })
    expect((await ask(exchangeOf(token))).status).toBe(200)
    const { status, body } = await ask(exchangeOf(token))
    expect([status, body['error_description']]).toEqual([400, 'the subject token was used already'])
  })

  it('the second time, whatever is asked for then, and a second lease of the run', async () => {
    const mine = claims()
    const token = await served.sign(mine)
    expect((await ask(exchangeOf(token))).status).toBe(200)
    for (const change of [{}, { scope: 'template:release' }, { ttl: '60' }]) {
      const { status, body } = await ask(exchangeOf(token, change))
      expect([status, body]).toEqual([
        400,
        { error: 'invalid_request', error_description: 'the subject token was used already' },
      ])
    }
    const fresh = await served.sign({ ...mine, jti: 'another' })
    const second = await ask(exchangeOf(fresh))
    expect([second.status, second.body['error']]).toEqual([400, 'invalid_request'])
    // Another template of the same run is another lease.
    expect((await ask(exchangeOf(fresh, { scope: 'template:release' }))).status).toBe(200)
  })
})

describe('an exchange', () => {
  it('answers as RFC 8693 §2.2.1 says', async () => {
    const { status, headers, body } = await ask(exchangeOf(await newToken()))
    expect(status).toBe(200)
    expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      issued_token_type: TYPE.accessToken,
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scope: 'template:deploy',
      authorization_details: [
        { type: 'broker_grant', identifier: 'api', actions: ['deploy:read', 'deploy:write'] },
      ],
      lease_id: expect.stringMatching(/^lse_/),
    })
    expect(body['expires_in']).toBeGreaterThan(880)
    expect(body['expires_in']).toBeLessThanOrEqual(900)
  })

  it('names the environment by resource as well, and ignores parameters that it does not know', async () => {
    const resource = `${served.url}/environments/ci`
    const form = leaving(
      exchangeOf(await newToken(), { resource, client_id: 'x', foo: 'bar' }),
      'audience',
    )
    expect((await ask(form)).status).toBe(200)
    const both = await ask(exchangeOf(await newToken(), { resource }))
    expect(both.status).toBe(200)
    const torn = await ask(exchangeOf(await newToken(), { resource, audience: 'production' }))
    expect(torn.body).toMatchObject({ error: 'invalid_target' })
  })

  it('takes a pattern for what the template allows of it, and no more', async () => {
    const all = { ...GRANT, actions: ['*'] }
    const { status, body } = await ask(
      exchangeOf(await newToken(), { authorization_details: details(all) }),
    )
    expect([status, body['authorization_details']]).toEqual([
      200,
      [{ ...GRANT, actions: ['deploy:read', 'deploy:write'] }],
    ])
  })

  it('says jwt where jwt was asked for, and gives the handle where that was', async () => {
    const asJwt = await ask(exchangeOf(await newToken(), { requested_token_type: TYPE.jwt }))
    expect(asJwt.body).toMatchObject({ issued_token_type: TYPE.jwt, token_type: 'Bearer' })
    const asLease = await ask(exchangeOf(await newToken(), { requested_token_type: TYPE.lease }))
    expect(asLease.body).toMatchObject({
      issued_token_type: TYPE.lease,
      token_type: 'N_A',
      access_token: expect.stringMatching(/^bkh_/),
    })
  })

  it('with the same Idempotency-Key gives the same answer again, and to no other request', async () => {
    const token = await newToken()
    const headers = { 'idempotency-key': 'job 1' }
    const first = await ask(exchangeOf(token), { headers })
    const again = await ask(exchangeOf(token), { headers })
    expect([first.status, again.status]).toEqual([200, 200])
    expect(again.body['access_token']).toBe(first.body['access_token'])
    expect(again.body['lease_id']).toBe(first.body['lease_id'])
    const others = [
      await ask(exchangeOf(token), { headers: { 'idempotency-key': 'job 2' } }),
      await ask(exchangeOf(token, { ttl: '60' }), { headers }),
      await ask(exchangeOf(token)),
    ]
    for (const { status, body } of others) {
      expect([status, body['error_description']]).toEqual([
        400,
        'the subject token was used already',
      ])
    }
    const long = { 'idempotency-key': 'x'.repeat(201) }
    expect((await ask(exchangeOf(await newToken()), { headers: long })).status).toBe(400)
  })
})

describe('revocation and introspection', () => {
  it('are refused without a token, and introspection without a key', async () => {
    const from = '127.0.3.1'
    const nothing = await post(served, '/oauth/revoke', {}, { from })
    expect([nothing.status, nothing.body['error']]).toEqual([400, 'invalid_request'])
    const stranger = await post(served, '/oauth/introspect', { token: 'x' }, { from })
    expect([stranger.status, stranger.body['error']]).toEqual([401, 'invalid_client'])
    expect(stranger.headers['www-authenticate']).toMatch(/Bearer/)
  })

  it('answer a lease’s holder about that lease alone', async () => {
    const wanted = { requested_token_type: TYPE.lease }
    const [mine, other] = [
      await ask(exchangeOf(await newToken(), wanted)),
      await ask(exchangeOf(await newToken(), wanted)),
    ].map(({ body }) => String(body['access_token']))
    const headers = { authorization: `Bearer ${mine}` }
    const about = async (token = '') =>
      (await post(served, '/oauth/introspect', { token }, { headers })).body['active']
    expect([await about(mine), await about(other)]).toEqual([true, false])
    const ended = await post(served, '/oauth/revoke', { token: String(mine) })
    expect([ended.status, ended.headers['broker-lease-state']]).toEqual([200, 'revoked'])
    const operator = { authorization: `Bearer ${served.operatorKey}` }
    const asked = await post(
      served,
      '/oauth/introspect',
      { token: String(mine) },
      { headers: operator },
    )
    expect(asked.body).toEqual({ active: false })
  })
})
