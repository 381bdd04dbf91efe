const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford's base 32: no i, l, o, u

export type LeaseId = `lse_${string}`

/** Source of randomness, handed in so that pure code stays pure. Returns `size` random bytes. */
export type Random = (size: number) => Uint8Array

function base32(value: bigint, length: number): string {
  let text = ''
  let rest = value
  for (let i = 0; i < length; i++) {
    text = ALPHABET.charAt(Number(rest & 31n)) + text
    rest >>= 5n
  }
  return text
}

/**
 * A lease id: 48 bits of milliseconds, then 80 random bits, in lower-case base 32 (ULID's layout).
 * Sorts by time of making, is safe in a file name and in a SQL identifier.
 */
export function newLeaseId(now: number, random: Random): LeaseId {
  return `lse_${timeSorted(now, random)}`
}

/** The 26 characters behind a prefix of one's own. */
export function timeSorted(now: number, random: Random): string {
  const bits = Buffer.from(random(10)).toString('hex')
  return base32(BigInt(now), 10) + base32(BigInt(`0x${bits}`), 16)
}

/** Short id of this installation: 40 random bits in 8 characters; it marks everything we create elsewhere. */
export function newInstallId(random: Random): string {
  return base32(BigInt(`0x${Buffer.from(random(5)).toString('hex')}`), 8)
}

/** A bearer secret: prefix, then 256 random bits in base64url. */
export function newBearer(prefix: string, random: Random): string {
  return prefix + Buffer.from(random(32)).toString('base64url')
}

export function isLeaseId(text: string): text is LeaseId {
  return /^lse_[0-9a-hjkmnp-tv-z]{26}$/.test(text)
}
