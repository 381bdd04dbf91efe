import type { TrustRule } from './compile.ts'

/** Which audiences are accepted from which issuer: all that verifying a token needs of the rules. */
export type TrustedIssuers = ReadonlyMap<string, ReadonlySet<string>>

/** Tokens of any other issuer are refused before anything is fetched. */
export function trustedIssuers(rules: Iterable<TrustRule>): TrustedIssuers {
  const trusted = new Map<string, Set<string>>()
  for (const { issuer, audience } of rules) {
    const audiences = trusted.get(issuer) ?? new Set()
    trusted.set(issuer, audiences.add(audience))
  }
  return trusted
}
