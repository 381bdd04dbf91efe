// The client library that most programs use, and an identity token of a real OpenID provider, obtained by a
// real flow: neither knows anything of the broker.
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OpenIdProvider } from '../fixtures/openid-provider.ts'
import { Served } from '../fixtures/serve.ts'
import { EXCHANGE, exchangeOf, fetchWith, TYPE, trusting } from './serve-world.ts'

const policy = (issuer: string, sub: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
  deploy:
    environments: [ci]
    default: true
    who: [{ oidc: { issuer: "${issuer}", claims: { sub: ${sub} } } }]
    grants: { api: { allow: ["deploy:read"] } }
`

let provider: OpenIdProvider
let served: Served
let http: ReturnType<typeof fetchWith>
beforeAll(async () => {
  served = await Served.start(null)
  // The broker is a client of the provider's, by its public URL: that is what `aud` says.
  provider = await OpenIdProvider.open(served.url, 'release-bot')
  await trusting(served, provider.ca)
  await served.prepare(policy(provider.url, 'release-bot'))
  http = fetchWith(served.ca)
})
afterAll(async () => {
  await http?.close()
  await served?.dispose()
  await provider?.close()
})

async function configured(auth: client.ClientAuth): Promise<client.Configuration> {
  const fetch = http.fetch
  const config = await client.discovery(new URL(served.url), 'a job', undefined, auth, {
    algorithm: 'oauth2',
    [client.customFetch]: fetch,
  })
  config[client.customFetch] = fetch
  return config
}

async function exchange(token: string, more: Readonly<Record<string, string>> = {}) {
  const { grant_type: _, ...parameters } = exchangeOf(token, more)
  return client.genericGrantRequest(await configured(client.None()), EXCHANGE, parameters)
}

const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error('it was let in')
    },
    (error: unknown) => error as client.ResponseBodyError,
  )

describe('an ID token of a real provider', () => {
  it('is refused the second time, and by another account at all', async () => {
    const token = await provider.idToken()
    const got = await exchange(token)
    expect(await refused(exchange(token))).toMatchObject({
      status: 400,
      error: 'invalid_request',
      error_description: 'the subject token was used already',
    })
    await client.tokenRevocation(await configured(client.None()), got.access_token)
    provider.account = 'somebody-else'
    try {
      expect(await refused(exchange(await provider.idToken()))).toMatchObject({
        status: 400,
        error: 'invalid_request',
        error_description: 'the subject token is not accepted',
      })
    } finally {
      provider.account = 'release-bot'
    }
  })

  it('becomes a credential that ends when openid-client revokes it', async () => {
    const job = await configured(client.None())
    const got = await exchange(await provider.idToken())
    expect(got).toMatchObject({
      token_type: 'bearer',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'template:deploy',
    })
    const operator = await configured(client.ClientSecretBasic(served.operatorKey))
    expect(await client.tokenIntrospection(operator, got.access_token)).toMatchObject({
      active: true,
      aud: 'https://api.example',
      scope: 'deploy:read',
    })
    await client.tokenRevocation(job, got.access_token)
    expect(await client.tokenIntrospection(operator, got.access_token)).toEqual({ active: false })
  })

  it('becomes the handle of a lease where that is asked for', async () => {
    const got = await exchange(await provider.idToken(), { requested_token_type: TYPE.lease })
    expect(got).toMatchObject({
      token_type: 'n_a',
      issued_token_type: 'urn:broker:token-type:lease',
    })
    await client.tokenRevocation(await configured(client.None()), got.access_token)
  })

  it('cost the provider one look at its metadata and one at its keys', () => {
    const found = provider.asked.filter((path) => path === '/jwks')
    expect(found).toHaveLength(1)
  })
})
