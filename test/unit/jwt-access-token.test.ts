import { createHmac } from 'node:crypto'
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWK, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { readAccessToken } from '../../src/identity/access-token.ts'

const ISSUER = 'https://broker.example'
const NOW = 1_700_000_000_000
const SECONDS = NOW / 1000
const KID = 'key-1'
const CLAIMS = {
  iss: ISSUER,
  sub: 'alice',
  aud: 'https://api.staging.example',
  client_id: 'broker-cli',
  scope: 'orders:read read',
  iat: SECONDS - 10,
  exp: SECONDS + 60,
  jti: 'lse_1.api',
  env: 'staging',
  lease: 'lse_1',
}

type Pair = Awaited<ReturnType<typeof generateKeyPair>>
let pair: Pair
let stranger: Pair
let ecPair: Pair
let jwk: JWK
let ecJwk: JWK
let jwks: JSONWebKeySet

beforeAll(async () => {
  pair = await generateKeyPair('EdDSA', { crv: 'Ed25519' })
  stranger = await generateKeyPair('EdDSA', { crv: 'Ed25519' })
  ecPair = await generateKeyPair('ES256')
  jwk = { ...(await exportJWK(pair.publicKey)), kid: KID, alg: 'EdDSA', use: 'sig' }
  ecJwk = { ...(await exportJWK(ecPair.publicKey)), kid: 'key-ec', use: 'sig' }
  jwks = { keys: [jwk] }
})

const HEADER = { alg: 'EdDSA', kid: KID, typ: 'at+jwt' }
const sign = (claims: object = CLAIMS, header: object = HEADER, key = pair.privateKey) =>
  new SignJWT({ ...claims }).setProtectedHeader({ ...HEADER, ...header }).sign(key)
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const read = (token: string, set = jwks) =>
  readAccessToken(token, { jwks: set, issuer: ISSUER, now: NOW })

async function altered(change: object): Promise<string> {
  const [header, , signature] = (await sign()).split('.')
  return `${header}.${encode({ ...CLAIMS, ...change })}.${signature}`
}

function hmacSigned(secret: string | Buffer): string {
  const signed = `${encode({ alg: 'HS256', kid: KID, typ: 'at+jwt' })}.${encode(CLAIMS)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

describe('reading an access token', () => {
  const refused: [string, () => string | Promise<string>][] = [
    [
      'with no signature (alg none)',
      () => `${encode({ ...HEADER, alg: 'none' })}.${encode(CLAIMS)}.`,
    ],
    ['signed with HS256 by the public key as JSON', () => hmacSigned(JSON.stringify(jwk))],
    [
      'signed with HS256 by the public key as bytes',
      () => hmacSigned(Buffer.from(jwk.x ?? '', 'base64url')),
    ],
    ['of another type', () => sign(CLAIMS, { typ: 'JWT' })],
    ['of no type', () => sign(CLAIMS, { typ: undefined })],
    ['that has expired', () => sign({ ...CLAIMS, exp: SECONDS })],
    ['that never expires', () => sign({ ...CLAIMS, exp: undefined })],
    ['that expires at no number', () => sign({ ...CLAIMS, exp: '9999999999' })],
    ['of another issuer', () => sign({ ...CLAIMS, iss: 'https://evil.example' })],
    ['of no issuer', () => sign({ ...CLAIMS, iss: undefined })],
    ['whose scope was altered', () => altered({ scope: 'admin' })],
    ['whose expiry was altered', () => altered({ exp: SECONDS + 9999 })],
    ['of an unknown key', () => sign(CLAIMS, { kid: 'key-2' })],
    ['that names no key', () => sign(CLAIMS, { kid: undefined })],
    ['of a stranger who uses our kid', () => sign(CLAIMS, {}, stranger.privateKey)],
    ['not valid yet', () => sign({ ...CLAIMS, nbf: SECONDS + 30 })],
    [
      'with an extension we do not know',
      async () => {
        const signed = await new SignJWT(CLAIMS)
          .setProtectedHeader({ ...HEADER, crit: ['x'], x: 1 } as never)
          .sign(pair.privateKey, { crit: { x: true } })
        return signed
      },
    ],
    ['for several audiences', () => sign({ ...CLAIMS, aud: ['a', 'b'] })],
    ['with a lease that is no text', () => sign({ ...CLAIMS, lease: 7 })],
    ['that is empty', () => ''],
    ['that is garbage', () => 'not a token'],
    ['of three empty parts', () => '..'],
    ['whose header is no JSON', () => `${Buffer.from('{').toString('base64url')}.e30.AA`],
    ['whose header is null', () => `${Buffer.from('null').toString('base64url')}.e30.AA`],
    ['with a fourth part', async () => `${await sign()}.AA`],
    ['that is much too long', () => sign({ ...CLAIMS, extra: 'x'.repeat(20_000) })],
  ]

  it.each(refused)('refuses one %s', async (_name, make) => {
    expect(await read(await make())).toBeNull()
  })

  it.each(['sub', 'aud', 'client_id', 'scope', 'iat', 'jti', 'env', 'lease'])(
    'refuses one without %s',
    async (name) => {
      expect(await read(await sign({ ...CLAIMS, [name]: undefined }))).toBeNull()
    },
  )

  it('refuses another algorithm even with a key of ours for it', async () => {
    const token = await sign(CLAIMS, { alg: 'ES256', kid: 'key-ec' }, ecPair.privateKey)
    expect(await read(token, { keys: [jwk, ecJwk] })).toBeNull()
  })

  it('refuses all when there are no keys, or what is there is none', async () => {
    expect(await read(await sign(), { keys: [] })).toBeNull()
    expect(await read(await sign(), JSON.parse('{"keys":"none"}'))).toBeNull()
  })

  it('gives the claims of a good one, to its last second', async () => {
    expect(await read(await sign())).toEqual(CLAIMS)
    expect(await read(await sign({ ...CLAIMS, exp: SECONDS + 1 }))).not.toBeNull()
  })
})

describe('a broker that has had more than one name', () => {
  const names = ['https://broker.example', ISSUER]
  const known = (token: string) => readAccessToken(token, { jwks, issuer: names, now: NOW })

  it('reads its tokens under each of them, and under no other', async () => {
    expect(await known(await sign({ ...CLAIMS, iss: 'https://broker.example.evil' }))).toBeNull()
    expect(await known(await sign({ ...CLAIMS, iss: names }))).toBeNull()
    for (const iss of names) {
      expect(await known(await sign({ ...CLAIMS, iss }))).toMatchObject({ iss })
    }
  })
})
