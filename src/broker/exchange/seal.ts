import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { LeaseId, Random } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'
import type { SealedPurpose } from '../../store/store.ts'

const CIPHER = 'aes-256-gcm'
const NONCE = 12
const TAG = 16

/** What a text is sealed for. Opens with nothing else. */
export interface SealTerms {
  readonly lease: LeaseId
  readonly purpose: SealedPurpose
  /** What only the receiver holds: an identity token, or the lease's credential. Never stored. */
  readonly key: Secret
}

/**
 * Seals a secret for whoever holds `key`, so that the database alone opens nothing: AES-256-GCM, the key
 * by HKDF-SHA256 (RFC 5869), bound to lease and purpose. `key` has to be random, not a password.
 */
export function seal(terms: SealTerms, secret: Secret, random: Random): string {
  const nonce = random(NONCE)
  const cipher = createCipheriv(CIPHER, keyOf(terms), nonce, { authTagLength: TAG })
  cipher.setAAD(boundTo(terms))
  const sealed = [cipher.update(secret.reveal(), 'utf8'), cipher.final()]
  return Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]).toString('base64url')
}

/** Null: sealed for somebody else, for something else, or changed since. */
export function unseal(terms: SealTerms, text: string): Secret | null {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < NONCE + TAG) return null
  const end = bytes.length - TAG
  try {
    const nonce = bytes.subarray(0, NONCE)
    const decipher = createDecipheriv(CIPHER, keyOf(terms), nonce, { authTagLength: TAG })
    decipher.setAAD(boundTo(terms))
    decipher.setAuthTag(bytes.subarray(end))
    const opened = [decipher.update(bytes.subarray(NONCE, end)), decipher.final()]
    return new Secret(Buffer.concat(opened).toString('utf8'))
  } catch {
    return null
  }
}

function keyOf({ key, purpose }: SealTerms): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key.reveal(), '', `broker sealed ${purpose} v1`, 32))
}

function boundTo({ lease, purpose }: SealTerms): Buffer {
  return Buffer.from(`${lease} ${purpose}`)
}
