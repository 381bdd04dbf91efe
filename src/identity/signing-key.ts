import type { CryptoKey } from 'jose'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import type { PublicKey } from './public-keys.ts'

/** A key in use: what signs cannot be exported again. */
export interface SigningKey {
  readonly kid: string
  /** Milliseconds since the epoch. */
  readonly madeAt: number
  readonly sign: CryptoKey
  readonly public: PublicKey
}

/** A new Ed25519 key as it rests in the vault: a private JWK with its `kid` (RFC 7638) and `iat`. */
export async function makeKey(now: number): Promise<Secret> {
  const { calculateJwkThumbprint, exportJWK, generateKeyPair } = await import('jose')
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const jwk = await exportJWK(pair.privateKey)
  const kid = await calculateJwkThumbprint(jwk)
  const iat = Math.floor(now / 1000)
  return new Secret(JSON.stringify({ ...jwk, kid, alg: 'EdDSA', use: 'sig', iat }))
}

/** Throws `vault_unavailable` for what is not such a key: a new one in its place would hide the damage. */
export async function readKey(stored: Secret): Promise<SigningKey> {
  const { importJWK } = await import('jose')
  try {
    const { kty, crv, x, d, kid, iat } = JSON.parse(stored.reveal())
    if (kty !== 'OKP' || crv !== 'Ed25519' || typeof kid !== 'string' || !Number.isInteger(iat)) {
      throw new TypeError('not one of our signing keys')
    }
    const sign = await importJWK({ kty, crv, x, d }, 'EdDSA', { extractable: false })
    if (sign instanceof Uint8Array) throw new TypeError('not an asymmetric key')
    return {
      kid,
      madeAt: iat * 1000,
      sign,
      public: { kty, crv, x, kid, alg: 'EdDSA', use: 'sig', iat },
    }
  } catch (error) {
    throw new BrokerError('vault_unavailable', 'the signing key in the vault is damaged', {
      hint: 'restore the vault from a backup',
      cause: error,
    })
  }
}
