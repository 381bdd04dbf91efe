import { inspect } from 'node:util'
import { decodeProtectedHeader } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { BrokerError, isBrokerError } from '../../src/errors.ts'
import type { PublicKey, PublicKeyShelf } from '../../src/identity/public-keys.ts'
import { makeKey, readKey } from '../../src/identity/signing-key.ts'
import { SigningKeys } from '../../src/identity/signing-keys.ts'
import { Secret } from '../../src/lib/secret.ts'

const DAY = 86_400_000
const ISSUER = 'https://broker.example'

let now: number
let stored: Map<string, Secret>
let shelved: readonly PublicKey[]
let writes: string[]
let reads: number
let broken: 'get' | 'set' | null

beforeEach(() => {
  now = 1_700_000_000_000
  stored = new Map()
  shelved = []
  writes = []
  reads = 0
  broken = null
})

function unlessBroken(call: 'get' | 'set') {
  if (broken !== call) return
  throw new BrokerError('vault_locked', 'the vault is locked', { hint: 'unlock it' })
}

const vault = {
  async get(name: string) {
    unlessBroken('get')
    reads++
    return stored.get(name) ?? null
  },
  async set(name: string, secret: Secret) {
    unlessBroken('set')
    writes.push('vault')
    stored.set(name, secret)
  },
}
const shelf: PublicKeyShelf = {
  readPublic: async () => shelved,
  writePublic: async (keys) => {
    writes.push('shelf')
    shelved = keys
  },
}
const keys = () => new SigningKeys({ vault, shelf, now: () => now })

async function token(from: SigningKeys, seconds = 3600): Promise<string> {
  const signer = await from.signer()
  const iat = Math.floor(now / 1000)
  return signer.sign('test+jwt', { iss: ISSUER, iat, exp: iat + seconds, sub: 'alice' })
}
const kidOf = (jwt: string) => decodeProtectedHeader(jwt).kid
const expected = { typ: 'test+jwt', issuer: ISSUER }

describe('the signing keys', () => {
  it('sign nothing while the vault is locked, and verify all the same', async () => {
    const signed = await token(keys())
    broken = 'get'
    const locked = keys()
    const error = await locked.signer().catch((thrown: unknown) => thrown)
    expect(isBrokerError(error) && error.code).toBe('vault_locked')
    expect(await locked.verify(signed, expected)).toMatchObject({ sub: 'alice' })
    expect((await locked.jwks()).keys).toHaveLength(1)
    broken = null
    expect(kidOf(await token(locked))).toBe(kidOf(signed))
  })

  it('are not replaced when the one in the vault is damaged', async () => {
    await token(keys())
    stored.set('signing-key', new Secret('{"kty":"OKP","d":"canary'))
    const error = await keys()
      .signer()
      .catch((thrown: unknown) => thrown)
    expect(isBrokerError(error) && [error.code, error.message]).toEqual([
      'vault_unavailable',
      'the signing key in the vault is damaged',
    ])
    expect(shelved).toHaveLength(1)
  })

  it('make one key when first used many times at once', async () => {
    const one = keys()
    const signed = await Promise.all(Array.from({ length: 20 }, () => token(one)))
    expect(new Set(signed.map(kidOf)).size).toBe(1)
    expect(reads).toBe(1)
    expect(shelved).toHaveLength(1)
    expect(kidOf(await token(keys()))).toBe(shelved[0]?.kid)
  })

  it('cannot be taken out of memory again', async () => {
    const key = await readKey(await makeKey(now))
    expect(key.sign.extractable).toBe(false)
  })

  it('believe no token that never expires', async () => {
    const one = keys()
    const { sign } = await one.signer()
    expect(await one.verify(await sign('test+jwt', { iss: ISSUER }), expected)).toBeNull()
    expect(await one.verify(await token(one), { ...expected, typ: 'at+jwt' })).toBeNull()
    expect(await one.verify(await token(one), { ...expected, issuer: 'other' })).toBeNull()
  })

  it('are published before they can sign', async () => {
    await token(keys())
    expect(writes).toEqual(['shelf', 'vault'])
  })

  it('sign as EdDSA under the thumbprint of the key', async () => {
    const signed = await token(keys())
    const [jwk] = (await keys().jwks()).keys
    expect(decodeProtectedHeader(signed)).toEqual({ alg: 'EdDSA', kid: jwk?.kid, typ: 'test+jwt' })
    const { calculateJwkThumbprint } = await import('jose')
    expect(jwk?.kid).toBe(await calculateJwkThumbprint(jwk ?? {}))
  })

  it('publish public members alone', async () => {
    await token(keys())
    const [jwk] = (await keys().jwks()).keys
    expect(Object.keys(jwk ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    const { d } = JSON.parse(stored.get('signing-key')?.reveal() ?? '')
    expect(d).toHaveLength(43)
    expect(JSON.stringify(shelved)).not.toContain(d)
    const one = keys()
    await one.signer()
    expect(inspect(one, { depth: 9, showHidden: true })).not.toContain(d)
  })

  it('are replaced after thirty days, and what the old one signed holds to its end', async () => {
    const one = keys()
    const early = await token(one, 86_400)
    now += 30 * DAY
    const last = await token(one, 8 * 3600)
    expect(kidOf(last)).toBe(kidOf(early))
    now += 1
    const [next, beside] = await Promise.all([token(one), token(one)])
    expect(kidOf(next)).not.toBe(kidOf(last))
    expect(kidOf(beside)).toBe(kidOf(next))
    expect((await one.jwks()).keys).toHaveLength(2)
    now += 8 * 3_600_000 - 2000
    expect(await one.verify(last, expected)).not.toBeNull()
    now += 6 * 60_000
    expect((await one.jwks()).keys.map((key) => key.kid)).toEqual([kidOf(next)])
    expect(await one.verify(last, expected)).toBeNull()
  })

  it('are replaced on request, each time', async () => {
    const one = keys()
    const first = await token(one)
    const [a, b] = await Promise.all([one.rotate(), one.rotate()])
    expect(new Set([kidOf(first), a, b]).size).toBe(3)
    expect(kidOf(await token(one))).toBe(b)
    expect(kidOf(await token(keys()))).toBe(b)
    expect(await one.verify(first, expected)).not.toBeNull()
  })

  it('stay what they were when the vault refuses the new one', async () => {
    const one = keys()
    const before = await token(one)
    broken = 'set'
    await expect(one.rotate()).rejects.toMatchObject({ code: 'vault_locked' })
    expect(kidOf(await token(one))).toBe(kidOf(before))
    broken = null
    // The shelf already calls it outgoing; whoever loads it next must put that right.
    const signed = await token(keys(), 8 * 3600)
    expect(kidOf(signed)).toBe(kidOf(before))
    now += 8 * 3_600_000 + 6 * 60_000
    expect((await keys().jwks()).keys.map((key) => key.kid)).toContain(kidOf(before))
  })

  it('are put back on a shelf that was lost', async () => {
    const signed = await token(keys())
    shelved = []
    expect(await keys().verify(signed, expected)).toBeNull()
    const one = keys()
    await one.signer()
    expect(await one.verify(signed, expected)).not.toBeNull()
  })
})
