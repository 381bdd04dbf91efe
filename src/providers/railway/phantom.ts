import type { Random } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'

/**
 * What a task holds instead of a token: a random UUID of version 4 (RFC 9562 §5.4), because that is
 * what Railway's tokens look like and clients may check. The format has room for 122 random bits and
 * no more; it is only ever compared here, over one lease's own listener, while that lease lives.
 */
export function newPhantom(random: Random): Secret {
  const bytes = Buffer.from(random(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return new Secret(uuidOf(bytes))
}

/** Sixteen bytes in the form of a UUID. */
export function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex').slice(0, 32)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
