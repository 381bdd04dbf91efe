import type { CryptoKey } from 'jose'
import { issuerKind } from '../../core/trust/issuer.ts'
import type { TrustedIssuers } from '../../core/trust/trusted.ts'
import type { Algorithm } from './header.ts'
import type { IssuerFetch } from './issuer-fetch.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { TokenRefused } from './refused.ts'
import type { KeySource } from './verify-identity-token.ts'

export interface IssuersOptions {
  readonly fetch: IssuerFetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** True: also issuers in plain http on this machine. For tests, and only where the caller says so. */
  readonly plainLoopback: boolean
}

/** The keys of every issuer that was asked for: one instance per process. Nothing is fetched ahead of use. */
export class Issuers implements KeySource {
  readonly #options: IssuersOptions
  readonly #issuers = new Map<string, IssuerKeys>()

  constructor(options: IssuersOptions) {
    this.#options = options
  }

  async key(issuer: string, algorithm: Algorithm, kid: string | null): Promise<CryptoKey> {
    return this.#of(issuer).key(algorithm, kid)
  }

  /**
   * Fetches the keys of all issuers that are trusted now, so that the first token need not wait, and
   * forgets the others. Returns why, for each that could not be asked; the others are not held up by it.
   */
  async warm(trusted: TrustedIssuers): Promise<ReadonlyMap<string, TokenRefused>> {
    for (const issuer of this.#issuers.keys()) {
      if (!trusted.has(issuer)) this.#issuers.delete(issuer)
    }
    const failures = new Map<string, TokenRefused>()
    await Promise.all(
      [...trusted.keys()].map(async (issuer) => {
        try {
          await this.#of(issuer).warm()
        } catch (error) {
          if (!(error instanceof TokenRefused)) throw error
          failures.set(issuer, error)
        }
      }),
    )
    return failures
  }

  /** Callers ask only for trusted issuers, so there are never more than the rules name. */
  #of(issuer: string): IssuerKeys {
    const kind = issuerKind(issuer)
    if (kind === null || (kind === 'loopback' && !this.#options.plainLoopback)) {
      throw new TokenRefused('issuer_insecure', 'the issuer is not reached over https')
    }
    let keys = this.#issuers.get(issuer)
    if (!keys) {
      keys = new IssuerKeys(issuer, this.#options.fetch, this.#options.now)
      this.#issuers.set(issuer, keys)
    }
    return keys
  }
}
