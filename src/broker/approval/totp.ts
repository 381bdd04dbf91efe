import { Secret as Key, TOTP } from 'otpauth'
import { Secret } from '../../lib/secret.ts'

/** RFC 6238 as every authenticator app has it: SHA-1, six digits, thirty seconds. */
const FORM = { algorithm: 'SHA1', digits: 6, period: 30 } as const

/** Clocks and thumbs are slow: the codes before and after count too (RFC 6238 §5.2). */
const WINDOW = 1

/** In bytes, as long as the hash (RFC 4226 §4). */
export const SEED_BYTES = 20

export function seedFrom(bytes: Uint8Array): Secret {
  return new Secret(new Key({ buffer: new Uint8Array(bytes).buffer }).base32)
}

/**
 * `otpauth://totp/…`, for a QR code. Holds the seed. What every app takes for granted (algorithm,
 * digits, period) is left out, so that the code fits a terminal of 24 lines.
 */
export function seedUri(seed: Secret, label: string): Secret {
  const name = encodeURIComponent(label)
  return new Secret(`otpauth://totp/broker:${name}?secret=${seed.reveal()}&issuer=broker`)
}

/** The time step that this code belongs to; null when it belongs to none that counts now. */
export function stepOf(seed: Secret, code: Secret, now: number): number | null {
  if (!isCode(code)) return null
  const secret = Key.fromBase32(seed.reveal())
  const token = code.reveal()
  const delta = TOTP.validate({ ...FORM, secret, token, timestamp: now, window: WINDOW })
  return delta === null ? null : Math.floor(now / 1000 / FORM.period) + delta
}

export function isCode(code: Secret): boolean {
  return /^[0-9]{6}$/.test(code.reveal())
}
