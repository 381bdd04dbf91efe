import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  hkdfSync,
} from 'node:crypto'
import type { ChainKeys } from './chain.ts'

/** PKCS #8 wrapping of a raw Ed25519 seed (RFC 8410 §7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Derives the chain's keys from the operator key (HKDF, RFC 5869). Not in the vault on purpose: a
 * revocation must be recorded even while the vault is locked. Whoever holds the operator key can
 * forge entries; whoever holds only the database cannot.
 */
export function deriveChainKeys(operatorKey: string): ChainKeys {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', operatorKey, 'broker-audit', purpose, 32))
  const signing = createPrivateKey({
    key: Buffer.concat([ED25519_PKCS8, derive('head signature')]),
    format: 'der',
    type: 'pkcs8',
  })
  return { mac: createSecretKey(derive('entry mac')), signing, verifying: createPublicKey(signing) }
}

/** The key of fingerprints: without it nobody can try out which key a fingerprint belongs to. */
export function deriveFingerprintKey(operatorKey: string): Buffer {
  return Buffer.from(hkdfSync('sha256', operatorKey, 'broker-audit', 'fingerprint', 32))
}

/** 64 bits of HMAC-SHA-256, in hex: enough to tell keys apart, too little to be one. */
export function fingerprintOf(key: Buffer, credential: string): string {
  return createHmac('sha256', key).update(credential).digest('hex').slice(0, 16)
}
