import { createLocalJWKSet, jwtVerify } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { resolveOperations } from '../../src/core/decide.ts'
import { isBrokerError } from '../../src/errors.ts'
import { readAccessToken } from '../../src/identity/access-token.ts'
import type { PublicKey } from '../../src/identity/public-keys.ts'
import { SigningKeys } from '../../src/identity/signing-keys.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import type { Secret } from '../../src/lib/secret.ts'
import { createJwt } from '../../src/providers/jwt/provider.ts'
import type { MintRequest, World } from '../../src/providers/provider.ts'
import { providerContract, type Variables } from './provider-suite.ts'

const NOW = 1_700_000_000_500
const jwt = createJwt()

function newKeys(now: () => number): SigningKeys {
  const stored = new Map<string, Secret>()
  let shelved: readonly PublicKey[] = []
  return new SigningKeys({
    vault: {
      get: async (name) => stored.get(name) ?? null,
      set: async (name, secret) => void stored.set(name, secret),
    },
    shelf: {
      readPublic: async () => shelved,
      writePublic: async (next) => {
        shelved = next
      },
    },
    now,
  })
}

/** What an API does that trusts our issuer, written as its owner would: with jose alone. */
function ownApi(keys: SigningKeys, audience: string) {
  return async (variables: Variables, scope: string, env = 'staging') => {
    const { payload } = await jwtVerify(
      variables['BROKER_ACCESS_TOKEN'] ?? '',
      createLocalJWKSet(await keys.jwks()),
      { issuer: 'https://broker.test', audience, typ: 'at+jwt', algorithms: ['EdDSA'] },
    )
    if (!String(payload['scope']).split(' ').includes(scope)) throw new Error('scope is missing')
    if (payload['env'] !== env) throw new Error('of another environment')
  }
}

providerContract('jwt', async () => {
  const own = newKeys(Date.now)
  const orders = ownApi(own, 'https://api.staging.example')
  const payments = ownApi(own, 'https://payments.staging.example')
  return {
    provider: createJwt(),
    connection: null,
    target: { audience: 'https://api.staging.example' },
    operations: ['orders:read', 'read'],
    use: (variables) => orders(variables, 'orders:read'),
    overreach: {
      'another scope': (variables) => orders(variables, 'orders:write'),
      'a part of a scope': (variables) => orders(variables, 'orders'),
      'another environment': (variables) => orders(variables, 'orders:read', 'production'),
      'another audience': (variables) => payments(variables, 'orders:read'),
    },
    signer: () => own.signer(),
    dispose: async () => undefined,
  }
})

let keys: SigningKeys
let world: World

beforeEach(() => {
  keys = newKeys(() => NOW)
  world = {
    now: () => NOW,
    random: (size) => new Uint8Array(size),
    installId: '00000000',
    issuer: 'https://broker.example',
    signer: () => keys.signer(),
    signal: new AbortController().signal,
  }
})

const request = (change: Partial<MintRequest> = {}): MintRequest => ({
  lease: 'lse_01hgw2bbg00000000000000000',
  grant: 'api',
  environment: 'staging',
  operations: ['orders:read', 'read'],
  target: jwt.parseTarget({ audience: 'https://api.staging.example' }),
  notAfter: NOW + 1_800_400,
  principal: 'alice',
  ...change,
})

const plan = (wanted: MintRequest) => jwt.plan(wanted, world.installId, null)
const mint = (wanted: MintRequest) => jwt.mint(wanted, plan(wanted), null, world)

async function claimsOf(wanted: MintRequest) {
  const { variables } = await mint(wanted)
  const token = variables.reveal()['BROKER_ACCESS_TOKEN'] ?? ''
  return readAccessToken(token, { jwks: await keys.jwks(), issuer: world.issuer, now: NOW })
}

function refusal(work: () => unknown) {
  try {
    work()
  } catch (error) {
    if (isBrokerError(error)) return error
    throw error
  }
  throw new Error('not refused')
}

describe('the target of a jwt grant', () => {
  it.each<[string, JsonObject, string[]]>([
    ['an unknown setting', { audience: 'a', scope: 'x' }, ['scope']],
    ['a misspelt one', { audiance: 'https://api.example' }, ['audiance']],
    ['one from a prototype', JSON.parse('{"__proto__":"x"}'), ['__proto__']],
    ['an audience that is no text', { audience: ['a', 'b'] }, ['audience']],
    ['an audience of null', { audience: null }, ['audience']],
    ['an empty audience', { audience: '' }, ['audience']],
    ['an audience with a space', { audience: 'my api' }, ['audience']],
    ['an audience with a newline', { audience: 'api\n' }, ['audience']],
    ['a URI that is none', { audience: '//api:x:y' }, ['audience']],
    ['an audience without end', { audience: 'a'.repeat(2001) }, ['audience']],
  ])('may not have %s', (_name, target, path) => {
    const error = refusal(() => jwt.parseTarget(target))
    expect(error.code).toBe('config_invalid')
    expect(error.details).toEqual({ path })
    expect(error.message).toMatch(/^(jwt has no setting "\w+"|the audience of a jwt must be .*)$/)
  })

  it.each(['https://api.staging.example', 'urn:example:orders', 'orders-api'])(
    'may have the audience %s',
    (audience) => {
      expect(jwt.parseTarget({ audience })).toEqual({ audience })
    },
  )
})

describe('a jwt grant', () => {
  it('is not minted for an operation that would become another scope', () => {
    for (const operation of ['a b', 'a"b', 'a\\b', 'a\nb', 'ä', '']) {
      const error = refusal(() => plan(request({ operations: ['read', operation] })))
      expect(error.code).toBe('provider_failed')
      expect(error.message).toBe(`"${operation}" cannot be a scope`)
    }
    expect(refusal(() => plan(request({ operations: [] }))).code).toBe('provider_failed')
  })

  it('is not minted when its lease ends within the second', async () => {
    await expect(mint(request({ notAfter: NOW + 400 }))).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'the lease ends before a token could be used',
    })
  })

  it('is not minted while the vault is locked', async () => {
    const { BrokerError } = await import('../../src/errors.ts')
    const locked = new BrokerError('vault_locked', 'the vault is locked', { hint: 'unlock it' })
    world = { ...world, signer: () => Promise.reject(locked) }
    await expect(mint(request())).rejects.toBe(locked)
  })

  it('is an access token of RFC 9068 with all that was asked for and no more', async () => {
    const { decodeProtectedHeader } = await import('jose')
    const minted = await mint(request())
    const token = minted.variables.reveal()['BROKER_ACCESS_TOKEN'] ?? ''
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'EdDSA' })
    const iat = Math.floor(NOW / 1000)
    expect(await claimsOf(request())).toEqual({
      iss: 'https://broker.example',
      sub: 'alice',
      aud: 'https://api.staging.example',
      client_id: 'broker-cli',
      scope: 'orders:read read',
      iat,
      exp: iat + 1800,
      jti: 'lse_01hgw2bbg00000000000000000.api',
      env: 'staging',
      lease: 'lse_01hgw2bbg00000000000000000',
    })
    expect(minted.expiresAt).toBe((iat + 1800) * 1000)
  })

  it('never outlives its lease', async () => {
    for (const ms of [1000, 1499, 1500, 1999, 28_800_000]) {
      const { expiresAt } = await mint(request({ notAfter: NOW + ms }))
      expect(expiresAt).toBeLessThanOrEqual(NOW + ms)
    }
  })

  it('is for the broker itself when no audience is named', async () => {
    expect(await claimsOf(request({ target: jwt.parseTarget({}) }))).toMatchObject({
      aud: 'https://broker.example',
    })
  })

  it('has an id of its own, known before it is minted and the same each time', () => {
    const recipe = plan(request())
    expect(plan(request())).toEqual(recipe)
    expect(recipe).toEqual({
      jti: 'lse_01hgw2bbg00000000000000000.api',
      audience: 'https://api.staging.example',
    })
    expect(plan(request({ grant: 'other' }))['jti']).not.toBe(recipe['jti'])
    expect(plan(request({ lease: 'lse_01hgw2bbg00000000000000001' }))['jti']).not.toBe(
      recipe['jti'],
    )
  })

  it('keeps no secret in its recipe, its handle or what can be printed of it', async () => {
    const minted = await mint(request())
    const token = minted.variables.reveal()['BROKER_ACCESS_TOKEN'] ?? ''
    expect(token.length).toBeGreaterThan(200)
    expect(JSON.stringify([minted, plan(request())])).not.toContain(token.slice(-40))
    expect(Object.keys(minted.variables.reveal())).toEqual(jwt.variables(request().target))
  })

  it('is revoked at once, again and again, minted or not', async () => {
    const recipe = plan(request())
    for (const handle of [null, (await mint(request())).handle]) {
      for (let n = 0; n < 2; n++) {
        expect(await jwt.revoke(recipe, handle, null, world)).toEqual({
          outcome: 'revoked',
          notes: [],
        })
      }
    }
  })

  it('gets from its rule the scopes that the rule says', () => {
    const allowed = (allow: string, isProtected = false) =>
      resolveOperations({ allow: [allow], approve: [], deny: [] }, jwt.catalogue, isProtected)
        .allowed
    expect(allowed('read')).toEqual(['read'])
    expect(allowed('read', true)).toEqual(['read'])
    expect(allowed('orders:read', true)).toEqual([])
    expect(allowed('orders:read')).toEqual(['orders:read'])
    expect(allowed('orders:*')).toEqual([])
  })
})
