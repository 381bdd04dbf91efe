// A client library of others, strict by design, against the real server over TLS.
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Served } from '../fixtures/serve.ts'
import { EXCHANGE, exchangeOf, fetchWith, jobClaims, policy, TYPE } from './serve-world.ts'

const CLIENT: oauth.Client = { client_id: 'a job' }

let served: Served
let http: ReturnType<typeof fetchWith>
let server: oauth.AuthorizationServer
beforeAll(async () => {
  served = await Served.start(policy)
  http = fetchWith(served.ca)
  server = await discover(served.url)
})
afterAll(async () => {
  await http?.close()
  await served?.dispose()
})

const over = () => ({ [oauth.customFetch]: http.fetch })

async function discover(url: string): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(url)
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...over() })
  return oauth.processDiscoveryResponse(issuer, response)
}

async function exchange(
  token: string,
  more: Readonly<Record<string, string>> = {},
  options: oauth.ProcessTokenResponseOptions = {},
) {
  const { grant_type: _, ...parameters } = exchangeOf(token, more)
  const response = await oauth.genericTokenEndpointRequest(
    server,
    CLIENT,
    oauth.None(),
    EXCHANGE,
    parameters,
    over(),
  )
  return oauth.processGenericTokenEndpointResponse(server, CLIENT, response, options)
}

async function introspect(token: string, as: oauth.ClientAuth) {
  const response = await oauth.introspectionRequest(server, CLIENT, as, token, over())
  return oauth.processIntrospectionResponse(server, CLIENT, response)
}

async function revoke(token: string): Promise<void> {
  const response = await oauth.revocationRequest(server, CLIENT, oauth.None(), token, over())
  await oauth.processRevocationResponse(response)
}

/** As an API does that is sent the token: by the published keys alone. */
function validate(token: string, audience: string) {
  const headers = { authorization: `Bearer ${token}` }
  const request = new Request('https://api.example/deploy', { headers })
  return oauth.validateJwtAccessToken(server, request, audience, over())
}

const newToken = (changed = {}) => served.sign(jobClaims(served.issuer.url, served.url, changed))

describe('oauth4webapi is refused as it expects', () => {
  it('a subject that nobody knows', async () => {
    const error = await exchange(await newToken({ repository_id: '2' })).catch((one) => one)
    expect(error).toBeInstanceOf(oauth.ResponseBodyError)
    expect(error).toMatchObject({
      status: 400,
      error: 'invalid_request',
      error_description: 'the subject token is not accepted',
    })
  })

  it('an environment that is not for this subject', async () => {
    const error = await exchange(await newToken(), { audience: 'staging' }).catch((one) => one)
    expect(error).toBeInstanceOf(oauth.ResponseBodyError)
    expect(error).toMatchObject({ status: 400, error: 'invalid_target' })
  })

  it('introspection without the operator’s key, with a challenge', async () => {
    const wrong = oauth.ClientSecretBasic('not the key')
    const error = await introspect('x', wrong).catch((one) => one)
    expect(error).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    expect(error).toMatchObject({ status: 401 })
    expect(error.cause.map(({ scheme }: { scheme: string }) => scheme).sort()).toEqual([
      'basic',
      'bearer',
    ])
  })
})

describe('oauth4webapi', () => {
  it('finds every endpoint by the metadata', () => {
    expect(server).toMatchObject({
      issuer: served.url,
      token_endpoint: `${served.url}/oauth/token`,
      revocation_endpoint: `${served.url}/oauth/revoke`,
      introspection_endpoint: `${served.url}/oauth/introspect`,
      jwks_uri: `${served.url}/.well-known/jwks.json`,
      grant_types_supported: expect.arrayContaining([EXCHANGE]),
      response_types_supported: [],
      authorization_details_types_supported: ['broker_grant'],
    })
  })

  it('gets a bearer token that an API can validate, and nobody after it is revoked', async () => {
    const { access_token: token, ...rest } = await exchange(await newToken())
    expect(rest).toMatchObject({
      token_type: 'bearer',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      expires_in: expect.any(Number),
      scope: 'template:deploy',
      lease_id: expect.stringMatching(/^lse_/),
    })
    const claims = await validate(token, 'https://api.example')
    expect(claims).toMatchObject({ iss: served.url, scope: 'deploy:read deploy:write', env: 'ci' })
    await expect(validate(token, 'https://store.example')).rejects.toThrow()

    const operator = oauth.ClientSecretBasic(served.operatorKey)
    expect(await introspect(token, operator)).toMatchObject({
      active: true,
      iss: served.url,
      aud: 'https://api.example',
      scope: 'deploy:read deploy:write',
    })
    await revoke(token)
    expect(await introspect(token, operator)).toEqual({ active: false })
    await revoke(token) // again, and of nothing: no error (RFC 7009 §2.2)
    await revoke('nobody knows this one')
  })

  it('gets less than the template allows with authorization_details', async () => {
    const details = JSON.stringify([
      { type: 'broker_grant', identifier: 'api', actions: ['deploy:read'] },
    ])
    const got = await exchange(await newToken(), { authorization_details: details })
    expect(got['authorization_details']).toEqual(JSON.parse(details))
    const claims = await validate(got.access_token, 'https://api.example')
    expect(claims).toMatchObject({ scope: 'deploy:read' })
    await revoke(got.access_token)
  })

  it('takes a lease only where it says that it knows what N_A is', async () => {
    const more = { requested_token_type: TYPE.lease }
    await expect(exchange(await newToken(), more)).rejects.toThrow(oauth.UnsupportedOperationError)
    const recognizedTokenTypes = { n_a: () => {} }
    const lease = await exchange(await newToken(), more, { recognizedTokenTypes })
    expect(lease).toMatchObject({
      token_type: 'n_a',
      issued_token_type: 'urn:broker:token-type:lease',
      access_token: expect.stringMatching(/^bkh_/),
    })
    await revoke(lease.access_token)
  })
})
