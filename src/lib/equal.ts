import { createHash, timingSafeEqual } from 'node:crypto'

/** Compares two secrets in time that does not depend on where, or by how much, they differ. */
export function constantTimeEqual(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest()
  const right = createHash('sha256').update(b).digest()
  return timingSafeEqual(left, right)
}

/** What is stored instead of a random bearer secret: its SHA-256 in hex. Not for passwords. */
export function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
