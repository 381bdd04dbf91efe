import type { Template } from '../core/template.ts'
import { compileTrust, type TrustRule } from '../core/trust/compile.ts'
import { explainFailure } from '../core/trust/explain.ts'
import { matchRule } from '../core/trust/match.ts'
import { isBrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'

/** One `oidc` rule and a token's claims: null, or why it does not let them in. */
export interface RuleTest {
  readonly template: string
  /** Its place under `who`. */
  readonly rule: number
  readonly failure: string | null
}

/**
 * What each `oidc` rule says to these claims, without a token: for `template test`. `ours`: the audience
 * where a rule names none. Says nothing about signature and times. Pure.
 */
export function testClaims(
  templates: readonly Template[],
  claims: JsonObject,
  ours: string,
): readonly RuleTest[] {
  return templates.flatMap(({ name, who }) =>
    who.flatMap((source, rule): RuleTest[] => {
      if (source.kind !== 'oidc') return []
      const failure = failureOf(() => compileTrust(source, { ours, plainLoopback: true }), claims)
      return [{ template: name, rule, failure }]
    }),
  )
}

function failureOf(compile: () => TrustRule, claims: JsonObject): string | null {
  try {
    const failure = matchRule(compile(), claims)
    return failure && explainFailure(failure)
  } catch (error) {
    if (isBrokerError(error)) return `the rule cannot be used: ${error.message}`
    throw error
  }
}
