import { randomUUID } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Served } from '../fixtures/serve.ts'
import {
  type Answer,
  ask,
  exchange,
  exchangeForm,
  LEASE_TOKEN,
  newToken,
  policy,
} from './serve-world.ts'

let served: Served
beforeAll(async () => {
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())

type Form = Readonly<Record<string, string>>

/** An error as RFC 6749 §5.2 wants it. */
function expectError(answer: Answer, status: number, error: string, description?: string): void {
  expect(answer.body).toMatchObject({ error })
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toMatch(/^application\/json/)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.headers['pragma']).toBe('no-cache')
  expect(answer.body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
  if (description !== undefined) expect(answer.body.error_description).toBe(description)
}

const GENERIC = 'the subject token is not accepted'

describe('an exchange is refused', () => {
  const asked: readonly [name: string, form: Form, error: string, description: string][] = [
    [
      'without a grant type',
      { grant_type: '' },
      'invalid_request',
      "the parameter 'grant_type' is missing",
    ],
    [
      'of another grant type',
      { grant_type: 'client_credentials' },
      'unsupported_grant_type',
      'this grant type is not supported',
    ],
    [
      'without a subject token',
      { subject_token: '' },
      'invalid_request',
      "the parameter 'subject_token' is missing",
    ],
    [
      'without its type',
      { subject_token_type: '' },
      'invalid_request',
      "the parameter 'subject_token_type' is missing",
    ],
    [
      'with an access token',
      { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' },
      'invalid_request',
      'only identity tokens (id_token, jwt) are taken',
    ],
    [
      'with an actor',
      { actor_token: 'x' },
      'invalid_request',
      'an actor token is not taken: the subject acts for itself',
    ],
    [
      'for no environment',
      { audience: '' },
      'invalid_request',
      'the environment is missing: name it as audience',
    ],
    [
      'for a scope that is no template',
      { scope: 'openid' },
      'invalid_scope',
      'the scope is one template, as template:NAME',
    ],
    [
      'for two scopes',
      { scope: 'template:deploy template:x' },
      'invalid_scope',
      'the scope is one template, as template:NAME',
    ],
    [
      'for a token type that we have not',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      'invalid_request',
      'this token type cannot be requested',
    ],
    [
      'for a time that is none',
      { ttl: '15m' },
      'invalid_request',
      'the ttl is a whole number of seconds',
    ],
    ['for no time at all', { ttl: '0' }, 'invalid_request', 'the ttl is a whole number of seconds'],
  ]
  it.each(asked)('%s', async (_name, form, error, description) => {
    const answer = await exchange(served, exchangeForm(await newToken(served), form))
    expectError(answer, 400, error, description)
  })

  it.each(['subject_token', 'grant_type', 'scope', 'something'])(
    'with "%s" twice',
    async (name) => {
      const form = new URLSearchParams(exchangeForm(await newToken(served)))
      form.append(name, form.get(name) ?? 'x')
      if (!form.getAll(name)[1]) form.append(name, 'y')
      expectError(
        await exchange(served, form),
        400,
        'invalid_request',
        `the parameter '${name}' is given more than once`,
      )
    },
  )

  it.each(['audience', 'resource'])('for more than one %s', async (name) => {
    const form = new URLSearchParams(exchangeForm(await newToken(served)))
    form.append(name, `${served.url}/environments/ci`)
    form.append(name, `${served.url}/environments/production`)
    expectError(await exchange(served, form), 400, 'invalid_target')
  })

  it('for a resource that is not ours, or another environment than the audience', async () => {
    for (const resource of [
      'https://other.example/environments/ci',
      `${served.url}/environments/production`,
    ]) {
      const form = exchangeForm(await newToken(served), { resource })
      expectError(await exchange(served, form), 400, 'invalid_target')
    }
  })

  it('as JSON', async () => {
    const json = exchangeForm(await newToken(served))
    expectError(
      await ask(served, { method: 'POST', path: '/oauth/token', json }),
      400,
      'invalid_request',
    )
  })

  it('with an Idempotency-Key that is too long', async () => {
    const headers = { 'idempotency-key': 'k'.repeat(201) }
    const answer = await exchange(served, exchangeForm(await newToken(served)), { headers })
    expectError(answer, 400, 'invalid_request', 'an Idempotency-Key has at most 200 characters')
  })

  const strangers: readonly [name: string, token: () => Promise<string>][] = [
    ['is no token', async () => 'x'],
    ['is for somebody else', () => newToken(served, { aud: 'https://other.example' })],
    [
      'is of an issuer that nobody trusts',
      () => newToken(served, { iss: 'https://other.example' }),
    ],
    ['has expired', () => newToken(served, { iat: 1_000_000, exp: 1_000_300, nbf: 1_000_000 })],
    ['no rule lets in', () => newToken(served, { repository_id: '7' })],
    ['comes from a pull request', () => newToken(served, { event_name: 'pull_request_target' })],
    ['has no subject', () => newToken(served, { sub: '' })],
  ]
  it.each(strangers)('in one and the same word when the token %s', async (_name, token) => {
    expectError(
      await exchange(served, exchangeForm(await token())),
      400,
      'invalid_request',
      GENERIC,
    )
  })

  it('for an environment or template that is unknown or not for this subject, in the same word', async () => {
    const texts = new Set<string>()
    for (const form of [
      { audience: 'nowhere' },
      { scope: 'template:nothing' },
      { scope: 'template:foreign' },
    ]) {
      const answer = await exchange(served, exchangeForm(await newToken(served), form))
      expectError(answer, 400, 'invalid_target')
      texts.add(answer.body.error_description)
    }
    expect(texts.size).toBe(1)
  })

  it('for what needs walls, with the way that there is', async () => {
    const form = exchangeForm(await newToken(served), {
      audience: 'production',
      scope: 'template:walled',
    })
    const answer = await exchange(served, form)
    expectError(answer, 400, 'invalid_target')
    expect(answer.body.error_description).toContain('broker exec --server')
  })

  it('for more than the template allows', async () => {
    for (const details of [
      'no json',
      '[{"type":"other"}]',
      '[{"type":"broker_grant","identifier":"api","actions":["admin"]}]',
    ]) {
      const form = exchangeForm(await newToken(served), { authorization_details: details })
      expectError(await exchange(served, form), 400, 'invalid_authorization_details')
    }
  })

  it('when the token was used, whoever presents it', async () => {
    const form = exchangeForm(await newToken(served))
    expect((await exchange(served, form)).status).toBe(200)
    const again = await exchange(served, form)
    expectError(again, 400, 'invalid_request', 'the subject token was used already')
    expect(again.text).not.toContain('lse_')
  })

  it('while its issuer cannot be asked, with the time to try again', async () => {
    const other = await Served.start(policy)
    try {
      const token = await newToken(other)
      await other.issuer.close()
      await other.stop()
      await other.launch()
      const answer = await exchange(other, exchangeForm(token))
      expectError(answer, 503, 'temporarily_unavailable')
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
      expect(other.out).toMatch(
        /trusts https:\/\/127\.0\.0\.1:\d+ \(the issuer could not be reached\)/,
      )
    } finally {
      await other.dispose()
    }
  })
})

describe('an exchange', () => {
  it('answers with the one credential itself', async () => {
    const answer = await exchange(served, exchangeForm(await newToken(served), { ttl: '60' }))
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
    const { access_token: token, ...rest } = answer.body
    expect(rest).toEqual({
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scope: 'template:deploy',
      authorization_details: [
        { type: 'broker_grant', identifier: 'api', actions: ['deploy:read', 'deploy:write'] },
      ],
      lease_id: expect.stringMatching(/^lse_/),
    })
    expect(rest.expires_in).toBeGreaterThan(50)
    expect(rest.expires_in).toBeLessThanOrEqual(60)
    expect(decodeJwt(token)).toMatchObject({ iss: served.url, aud: 'https://api.example' })
  })

  it('says jwt where a jwt was asked for, and gives less where less was asked for', async () => {
    const form = exchangeForm(await newToken(served), {
      scope: '',
      audience: '',
      resource: `${served.url}/environments/ci`,
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      authorization_details:
        '[{"type":"broker_grant","identifier":"api","actions":["deploy:read"]}]',
    })
    const { body } = await exchange(served, form)
    expect(body.issued_token_type).toBe('urn:ietf:params:oauth:token-type:jwt')
    expect(decodeJwt(body.access_token)['scope']).toBe('deploy:read')
    expect(body.authorization_details[0].actions).toEqual(['deploy:read'])
  })

  it('counts as received when its answer was written', async () => {
    const { body } = await exchange(served, exchangeForm(await newToken(served)))
    const types = async () =>
      (
        await ask(served, { path: `/v1/audit?lease=${body.lease_id}`, bearer: served.operatorKey })
      ).body.entries.map(({ type }: { type: string }) => type)
    await expect.poll(types).toContain('lease.delivered')
  })

  it('gives the same answer to the same request, and to no other', async () => {
    const token = await newToken(served)
    const headers = { 'idempotency-key': randomUUID() }
    const first = await exchange(served, exchangeForm(token), { headers })
    const again = await exchange(served, exchangeForm(token), { headers })
    expect(again.body.access_token).toBe(first.body.access_token)
    expect(again.body.lease_id).toBe(first.body.lease_id)
    const other = await exchange(served, exchangeForm(token, { ttl: '60' }), { headers })
    expectError(other, 400, 'invalid_request')
  })

  it('gives a lease that is redeemed once and then acknowledged', async () => {
    const form = exchangeForm(await newToken(served), { requested_token_type: LEASE_TOKEN })
    const { body } = await exchange(served, form)
    expect(body).toMatchObject({ issued_token_type: LEASE_TOKEN, token_type: 'N_A' })
    const at = (what: string, bearer: string) =>
      ask(served, { method: 'POST', path: `/v1/leases/${body.lease_id}/${what}`, bearer })
    expect((await at('credentials', served.operatorKey)).status).toBe(404)
    const early = await at('ack', body.access_token)
    expect(early).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } })
    const claimed = await at('credentials', body.access_token)
    expect(claimed.status).toBe(200)
    expect(claimed.headers['cache-control']).toBe('no-store')
    expect(claimed.body.lease.id).toBe(body.lease_id)
    expect(Object.keys(claimed.body.variables).sort()).toEqual([
      'BROKER_ACCESS_TOKEN',
      'BROKER_ENV',
      'BROKER_EXPIRES_AT',
      'BROKER_HANDLE',
      'BROKER_LEASE',
    ])
    const again = await at('credentials', body.access_token)
    expect(again).toMatchObject({ status: 410, body: { error: { code: 'already_claimed' } } })
    expect(again.text).not.toContain(claimed.body.variables.BROKER_ACCESS_TOKEN)
    expect((await at('ack', body.access_token)).status).toBe(200)
  })

  it('leaves its reason in the audit log, and no word of it outside', async () => {
    const { text } = await exchange(
      served,
      exchangeForm(await newToken(served, { repository_id: '4711' }), { reason: 'because' }),
      { from: '127.0.0.55' },
    )
    expect(text).not.toContain('4711')
    const { body } = await ask(served, { path: '/v1/audit?limit=5000', bearer: served.operatorKey })
    const entry = body.entries.findLast(
      ({ type, data }: { type: string; data: { address?: string } }) =>
        type === 'exchange.refused' && data.address === '127.0.0.55',
    )
    expect(JSON.stringify(entry.data)).toContain('4711')
  })
})
