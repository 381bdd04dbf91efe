import type { Verification } from '../../core/subject.ts'
import type { TrustedIssuers } from '../../core/trust/trusted.ts'
import { createIssuerFetch } from '../../identity/oidc/issuer-fetch.ts'
import { Issuers } from '../../identity/oidc/issuers.ts'
import { isIssuerReason } from '../../identity/oidc/refused.ts'
import { verifyIdentityToken } from '../../identity/oidc/verify-identity-token.ts'
import type { Secret } from '../../lib/secret.ts'

export interface VerifierTerms {
  /** PEM, trusted besides the usual roots. */
  readonly ca: string | null
  readonly privateAddresses: boolean
  readonly plainLoopback: boolean
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Identity tokens against the keys of their issuers, which it fetches and keeps. */
export class SubjectVerifier {
  readonly #fetch: ReturnType<typeof createIssuerFetch>
  readonly #issuers: Issuers
  readonly #now: () => number

  constructor({ ca, privateAddresses, plainLoopback, now }: VerifierTerms) {
    this.#fetch = createIssuerFetch({ ca, privateAddresses })
    this.#issuers = new Issuers({ fetch: this.#fetch, now, plainLoopback })
    this.#now = now
  }

  async verify(token: Secret, trusted: TrustedIssuers): Promise<Verification> {
    const now = this.#now()
    const found = await verifyIdentityToken(token, { trusted, keys: this.#issuers, now })
    if (found.outcome === 'verified') {
      const { issuer, claims, identity, expiresAt } = found
      return { outcome: 'verified', subject: { issuer, claims, token: identity, expiresAt } }
    }
    const { reason, message } = found
    return { outcome: isIssuerReason(reason) ? 'unavailable' : 'refused', reason, message }
  }

  /** Asks every issuer now. Returns why not, for those that could not be asked. */
  async warm(trusted: TrustedIssuers): Promise<ReadonlyMap<string, string>> {
    const failures = await this.#issuers.warm(trusted)
    return new Map([...failures].map(([issuer, { message }]) => [issuer, message]))
  }

  async close(): Promise<void> {
    await this.#fetch.close()
  }
}
