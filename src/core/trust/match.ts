import type { Json, JsonObject } from '../../lib/json.ts'
import { type ClaimValue, claimOf } from './claims.ts'
import type { TrustRule } from './compile.ts'
import { outsider } from './outsiders.ts'

/** The first claim for which a rule does not let a token in. For audit and tests, never for callers. */
export interface ClaimFailure {
  readonly claim: string
  /** `event`: the run may have been started by an outsider, and the rule does not name the event. */
  readonly problem: 'missing' | 'type' | 'value' | 'audiences' | 'event'
  readonly expected: readonly ClaimValue[]
  /** As the token has it; left out when it has none. */
  readonly actual?: Json
}

export type TrustMatch =
  | { readonly matched: true; readonly rule: number }
  | { readonly matched: false; readonly failures: readonly RuleFailure[] }

export interface RuleFailure extends ClaimFailure {
  /** Its place in the list of rules. */
  readonly rule: number
}

/**
 * The first rule that lets in a token with these claims, or why each of them does not. The claims have
 * to be those of a verified token. Exact: type and value; a missing claim is a no, and no rules are a no.
 */
export function matchTrust(rules: readonly TrustRule[], claims: JsonObject): TrustMatch {
  const failures: RuleFailure[] = []
  for (const [index, rule] of rules.entries()) {
    const failure = matchRule(rule, claims)
    if (failure === null) return { matched: true, rule: index }
    failures.push({ ...failure, rule: index })
  }
  return { matched: false, failures }
}

/** Null: the rule lets the token in. */
export function matchRule(rule: TrustRule, claims: JsonObject): ClaimFailure | null {
  return (
    matchOne('iss', claimOf(claims, 'iss'), new Set([rule.issuer])) ??
    matchAudience(rule.audience, claimOf(claims, 'aud')) ??
    matchClaims(rule, claims) ??
    outsider(rule, claims)
  )
}

/** A list of exactly one is the same as that one (RFC 7519 §4.1.3). */
function matchAudience(audience: string, actual: Json | undefined): ClaimFailure | null {
  if (!Array.isArray(actual)) return matchOne('aud', actual, new Set([audience]))
  if (actual.length === 1) return matchOne('aud', actual[0], new Set([audience]))
  return { claim: 'aud', problem: 'audiences', expected: [audience], actual }
}

function matchClaims(rule: TrustRule, claims: JsonObject): ClaimFailure | null {
  for (const [name, allowed] of rule.claims) {
    const failure = matchOne(name, claimOf(claims, name), allowed)
    if (failure !== null) return failure
  }
  return null
}

function matchOne(
  claim: string,
  actual: Json | undefined,
  allowed: ReadonlySet<ClaimValue>,
): ClaimFailure | null {
  if (allowed.has(actual as ClaimValue)) return null
  const expected = [...allowed]
  if (actual === undefined || actual === null) return { claim, problem: 'missing', expected }
  const sameType = expected.some((value) => typeof value === typeof actual)
  return { claim, problem: sameType ? 'value' : 'type', expected, actual }
}
