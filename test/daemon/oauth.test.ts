import { createLocalJWKSet, decodeProtectedHeader, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TOKENS_ONLY } from '../fixtures/product.ts'
import { Wired } from './wire.ts'

let broker: Wired
beforeAll(async () => {
  broker = new Wired()
  await broker.prepare(TOKENS_ONLY)
})
afterAll(() => broker?.dispose())

const post = (path: string, form: Record<string, string>) =>
  broker.ask({
    method: 'POST',
    path,
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
const introspect = (token: string) => post('/oauth/introspect', { token })
const metadata = async () =>
  (await broker.ask({ path: '/.well-known/oauth-authorization-server', bearer: undefined })).body
const jwks = async () =>
  (await broker.ask({ path: '/.well-known/jwks.json', bearer: undefined })).body

describe('introspection (RFC 7662)', () => {
  it('calls what is no token of ours inactive, and says nothing else', async () => {
    const { token } = await broker.issue()
    const [head, body, signature = ''] = token.split('.')
    const { privateKey } = await generateKeyPair('EdDSA')
    const forged = await new SignJWT(JSON.parse(Buffer.from(body ?? '', 'base64url').toString()))
      .setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'EdDSA' })
      .sign(privateKey)
    const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${body}.`
    const changed = `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    for (const wrong of ['x', 'a.b.c', `${token}x`, changed, forged, none, broker.operator]) {
      const answer = await introspect(wrong)
      expect(answer).toMatchObject({ status: 200, body: { active: false } })
      expect(Object.keys(answer.body)).toEqual(['active'])
    }
    expect((await introspect(token)).body.active).toBe(true)
  })

  it.each([{}, { token: '' }, { token: 'x'.repeat(16_385) }])('refuses %#', async (form) => {
    const answer = await post('/oauth/introspect', form)
    expect(answer.status).toBe(400)
    expect(answer.body.error.code).toBe('invalid_request')
  })

  it('describes a good one with its own claims', async () => {
    const { lease, token } = await broker.issue()
    const { body } = await introspect(token)
    expect(body).toMatchObject({
      active: true,
      token_type: 'Bearer',
      aud: 'https://api.staging.example',
      scope: 'orders:read orders:write',
      env: 'staging',
      lease: lease.id,
      iss: (await metadata()).issuer,
    })
    expect(body.exp * 1000).toBeLessThanOrEqual(Date.parse(lease.expiresAt))
  })

  const ways = [
    {
      name: 'its lease was revoked',
      end: (id: string) => broker.ask({ method: 'DELETE', path: `/v1/leases/${id}` }),
    },
    {
      name: 'everything was revoked',
      end: () => broker.ask({ method: 'POST', path: '/v1/leases/revoke', body: { all: true } }),
    },
    {
      name: 'the token was (RFC 7009)',
      end: (_id: string, token: string) => post('/oauth/revoke', { token }),
    },
  ]
  it.each(ways)('calls a token inactive at once when $name', async ({ end }) => {
    const { lease, token } = await broker.issue()
    expect((await introspect(token)).body.active).toBe(true)
    expect((await end(lease.id, token)).status).toBe(200)
    expect((await introspect(token)).body).toEqual({ active: false })
    const { body } = await broker.ask({ path: '/v1/leases' })
    expect(body.leases.map((one: { id: string }) => one.id)).not.toContain(lease.id)
  })

  it('calls the token of a nested task inactive when the task around it ends', async () => {
    const outer = await broker.issue()
    const inner = await broker.issue({}, outer.handle)
    expect((await introspect(inner.token)).body.active).toBe(true)
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${outer.lease.id}` })
    expect((await introspect(inner.token)).body).toEqual({ active: false })
  })
})

describe('revocation (RFC 7009)', () => {
  it('succeeds for a token that is unknown, and does nothing', async () => {
    const { lease } = await broker.issue()
    for (const token of ['x', 'a.b.c', lease.id, broker.operator]) {
      expect(await post('/oauth/revoke', { token })).toMatchObject({ status: 200, body: {} })
    }
    expect(await broker.stateOf(lease.id)).toBe('active')
  })

  it('may be repeated, and leaves its reason on record', async () => {
    const { lease, token } = await broker.issue()
    for (let times = 0; times < 3; times++) {
      expect((await post('/oauth/revoke', { token, token_type_hint: 'access_token' })).status).toBe(
        200,
      )
    }
    const { body } = await broker.ask({ path: `/v1/leases/${lease.id}` })
    expect(body).toMatchObject({
      state: 'revoked',
      endReason: 'revoked_by_operator',
      endNote: 'OAuth revocation',
    })
  })
})

describe('the documents of a server', () => {
  it('name only what is there (RFC 8414)', async () => {
    const body = await metadata()
    for (const name of ['introspection_endpoint', 'revocation_endpoint', 'jwks_uri']) {
      const { pathname, origin } = new URL(body[name])
      expect(origin).toBe(new URL(body.issuer).origin)
      const method = name === 'jwks_uri' ? 'GET' : 'POST'
      expect((await broker.ask({ method, path: pathname, bearer: undefined })).status).not.toBe(404)
    }
    expect(body.token_endpoint).toBeUndefined()
  })

  it('hold the public keys by which anyone can check a token', async () => {
    const { token } = await broker.issue()
    const keys = await jwks()
    const options = { issuer: (await metadata()).issuer, audience: 'https://api.staging.example' }
    const { protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), options)
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'at+jwt' })
    for (const key of keys.keys) {
      expect(key).toMatchObject({ kty: 'OKP', crv: 'Ed25519', use: 'sig' })
      expect(key.d).toBeUndefined()
    }
  })

  it('keep the keys over a restart', async () => {
    const { token } = await broker.issue()
    await broker.must(['daemon', 'stop'])
    await broker.must(['daemon', 'start'])
    await jwtVerify(token, createLocalJWKSet(await jwks()))
    expect((await introspect(token)).body.active).toBe(true)
  })
})
