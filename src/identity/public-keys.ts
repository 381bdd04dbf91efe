import type { JWK } from 'jose'
import { TIMING } from '../core/deadlines.ts'

/** A public JWK with our own notes, in seconds since the epoch. */
export interface PublicKey extends JWK {
  /** When it was made. */
  readonly iat?: number
  /** When nothing it signed can be alive any more (named as in OpenID Federation 1.0). */
  readonly exp?: number
}

/**
 * The public halves, kept where they can be read while the vault is locked. The keys carry no
 * secret; losing them only makes tokens unverifiable until the signing key is used again.
 */
export interface PublicKeyShelf {
  readPublic(): Promise<readonly PublicKey[]>
  /** Replaces all of them. Durable when it returns. */
  writePublic(keys: readonly PublicKey[]): Promise<void>
}

/** Longest life of anything signed, plus what clocks may differ by. Seconds. */
const OUTLIVES = (TIMING.maxTtlMs + 5 * 60_000) / 1000

/**
 * Puts `key` on the shelf as the one that signs. The others stay until nothing they signed can be
 * alive. `now` in milliseconds.
 */
export function succeed(
  keys: readonly PublicKey[],
  key: PublicKey,
  now: number,
): readonly PublicKey[] {
  const seconds = Math.floor(now / 1000)
  const older = keys
    .filter((other) => other.kid !== key.kid)
    .map((other) => ({ ...other, exp: other.exp ?? seconds + OUTLIVES }))
  return [key, ...alive(older, now)]
}

/** The keys of which something signed may still be alive. */
export function alive(keys: readonly PublicKey[], now: number): readonly PublicKey[] {
  return keys.filter((key) => (key.exp ?? Number.POSITIVE_INFINITY) * 1000 > now)
}

/** True if this key is on the shelf and not on its way out. */
export function isCurrent(keys: readonly PublicKey[], kid: string): boolean {
  return keys.some((key) => key.kid === kid && key.exp === undefined)
}

/** What the world gets to see: these members and no others. */
export function published(key: PublicKey): JWK {
  const { kty, crv, x, kid, alg, use } = key
  return { kty, crv, x, kid, alg, use } as JWK
}
