import type { CryptoKey, JWK } from 'jose'
import { isObject, type Json, type JsonObject } from '../../lib/json.ts'
import { ALGORITHMS, type Algorithm } from './header.ts'
import { readIssuerJson } from './issuer-json.ts'
import { TokenRefused } from './refused.ts'

/** More than any issuer has, and a bound on what is looked through for each token. */
const MAX_KEYS = 100
/** RSA below is weak, above costs us time (RFC 8725 §3.5 asks for 2048 at least). */
const MIN_RSA_BITS = 2048
const MAX_RSA_BITS = 8192

interface IssuerKey {
  readonly algorithm: Algorithm
  readonly kid: string | null
  /** Imported when first needed. */
  readonly load: () => Promise<CryptoKey>
}

/** What each algorithm's keys look like (RFC 7518 §3.1, RFC 8037 §2). */
const SHAPES: Readonly<Record<Algorithm, (jwk: JsonObject) => boolean>> = {
  RS256: ({ kty, n, e }) => kty === 'RSA' && isModulus(n) && typeof e === 'string' && e.length <= 8,
  ES256: ({ kty, crv }) => kty === 'EC' && crv === 'P-256',
  EdDSA: ({ kty, crv }) => kty === 'OKP' && crv === 'Ed25519',
}

/** The public keys of an issuer, as it published them at one moment (RFC 7517 §5). */
export class KeySet {
  readonly #keys: readonly IssuerKey[]

  private constructor(keys: readonly IssuerKey[]) {
    this.#keys = keys
  }

  /**
   * Keys that are not for signatures, of a kind we do not verify, too weak, or that were published with
   * their private half are left out. Throws `TokenRefused` when it is no key set.
   */
  static read(body: Uint8Array): KeySet {
    const { keys } = readIssuerJson(body, 'issuer_keys') as { readonly keys?: Json }
    if (!Array.isArray(keys) || keys.length > MAX_KEYS) {
      throw new TokenRefused('issuer_keys', "the issuer's key set is not a list of keys")
    }
    return new KeySet(keys.filter(isObject).flatMap(usable))
  }

  /**
   * The key of that id, or the only one there is when the token names none; null: there is none. Throws
   * `key_ambiguous` rather than to try several: which of them signed would be the token's choice.
   */
  find(algorithm: Algorithm, kid: string | null): Promise<CryptoKey> | null {
    const fitting = this.#keys.filter(
      (key) => key.algorithm === algorithm && (kid === null || key.kid === kid),
    )
    if (fitting.length > 1) {
      throw new TokenRefused('key_ambiguous', 'several keys of the issuer could have signed this')
    }
    return fitting[0]?.load() ?? null
  }
}

function usable(jwk: JsonObject): IssuerKey[] {
  const { use, alg, kid, d, k, key_ops: operations } = jwk
  if ((use !== undefined && use !== 'sig') || d !== undefined || k !== undefined) return []
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return []
  }
  return ALGORITHMS.filter(
    (algorithm) => (alg === undefined || alg === algorithm) && SHAPES[algorithm](jwk),
  ).map((algorithm) => {
    let loading: Promise<CryptoKey> | undefined
    const load = () => {
      loading ??= importKey(jwk, algorithm)
      return loading
    }
    return { algorithm, kid: typeof kid === 'string' ? kid : null, load }
  })
}

async function importKey(jwk: JsonObject, algorithm: Algorithm): Promise<CryptoKey> {
  const { importJWK } = await import('jose')
  try {
    const { kty, n, e, crv, x, y } = jwk
    const key = await importJWK({ kty, n, e, crv, x, y } as JWK, algorithm)
    if (!(key instanceof Uint8Array)) return key
  } catch (error) {
    throw new TokenRefused('issuer_keys', 'a key of the issuer cannot be read', error)
  }
  throw new TokenRefused('issuer_keys', 'a key of the issuer is not a public key')
}

function isModulus(n: Json | undefined): boolean {
  if (typeof n !== 'string') return false
  const bytes = Buffer.from(n.slice(0, MAX_RSA_BITS), 'base64url')
  const [first = 0] = bytes
  const bits = bytes.byteLength * 8 - (Math.clz32(first) - 24)
  return bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS
}
