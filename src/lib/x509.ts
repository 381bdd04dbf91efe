import { randomBytes } from 'node:crypto'
import { Secret } from './secret.ts'

/** 127 random bits, positive, never beginning with a zero byte; hex (RFC 5280 §4.1.2.2). */
export function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** Lines of 64 characters between the label's marks (RFC 7468 §2). What is written so may be a key. */
export function pemOf(label: string, bytes: ArrayBuffer): Secret {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return new Secret(`-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`)
}
