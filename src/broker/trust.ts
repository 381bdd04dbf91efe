import type { Configuration } from '../core/template.ts'
import { compileTrust, type TrustRule, type TrustTerms } from '../core/trust/compile.ts'
import { type TrustedIssuers, trustedIssuers } from '../core/trust/trusted.ts'
import { isBrokerError } from '../errors.ts'

/** The rules of one template, in order, and the place of each under `who`. */
export interface TemplateTrust {
  readonly rules: readonly TrustRule[]
  readonly places: readonly number[]
}

/** Every `oidc` rule that is applied, ready to match. */
export interface Trust {
  /** By template. One that lets in local people alone is not in it. */
  readonly templates: ReadonlyMap<string, TemplateTrust>
  /** All that verifying a token needs of the rules. */
  readonly issuers: TrustedIssuers
  /** Rules that let nobody in, and why: stored by another version, or meant for another server. */
  readonly unusable: readonly UnusableRule[]
}

export interface UnusableRule {
  readonly template: string
  /** Its place under `who`. */
  readonly rule: number
  readonly message: string
}

/** Compiles all of them. One that cannot be used is left out, which lets in nobody; the others hold. */
export function compileTrusts({ templates }: Configuration, terms: TrustTerms): Trust {
  const compiled = new Map<string, TemplateTrust>()
  const unusable: UnusableRule[] = []
  for (const { name, who } of Object.values(templates)) {
    const rules: TrustRule[] = []
    const places: number[] = []
    for (const [rule, source] of who.entries()) {
      if (source.kind !== 'oidc') continue
      const one = compiledOr(() => compileTrust(source, terms))
      if (typeof one === 'string') {
        unusable.push({ template: name, rule, message: one })
        continue
      }
      rules.push(one)
      places.push(rule)
    }
    if (rules.length > 0) compiled.set(name, { rules, places })
  }
  const all = [...compiled.values()].flatMap(({ rules }) => rules)
  return { templates: compiled, issuers: trustedIssuers(all), unusable }
}

function compiledOr(compile: () => TrustRule): TrustRule | string {
  try {
    return compile()
  } catch (error) {
    if (isBrokerError(error)) return error.message
    throw error
  }
}
