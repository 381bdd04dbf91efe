import { explainFailure } from '../core/trust/explain.ts'
import { matchTrust, type RuleFailure } from '../core/trust/match.ts'
import { BrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Policy } from './context.ts'
import type { Trust } from './trust.ts'
import { Withheld } from './withheld.ts'

/** Failures that an audit entry tells; a rule more or less explains no more. */
const TOLD = 20

/** Each template that lets in a token with these claims, and the place of the rule under its `who`. */
export function admissions({ templates }: Trust, claims: JsonObject): ReadonlyMap<string, number> {
  const admitted = new Map<string, number>()
  for (const [name, { rules, places }] of templates) {
    const match = matchTrust(rules, claims)
    const place = match.matched ? places[match.rule] : undefined
    if (place !== undefined) admitted.set(name, place)
  }
  return admitted
}

/** One text for every reason, so that nobody learns from it what would be let in. */
export function subjectRefused(withheld: Withheld): BrokerError {
  return new BrokerError('subject_refused', 'the subject token is not accepted', {
    hint: 'whoever runs this broker finds the reason in its audit log: broker audit list',
    cause: withheld,
  })
}

/** To a subject that some rule lets in: not there, or not by that template, whether or not they exist. */
export function targetRefused(reason: string, facts: JsonObject): BrokerError {
  return new BrokerError(
    'target_refused',
    'this subject gets nothing there: the environment or the template is not for it',
    {
      hint: 'whoever runs this broker finds the reason in its audit log: broker audit list',
      cause: new Withheld(reason, facts),
    },
  )
}

/** Why no rule of any template lets it in, rule by rule. */
export function strangerRefused({ trust }: Policy, claims: JsonObject): BrokerError {
  const failures = [...trust.templates].flatMap(([template, { rules, places }]) => {
    const match = matchTrust(rules, claims)
    return match.matched ? [] : match.failures.map((one) => told(template, places, one))
  })
  return subjectRefused(new Withheld('no_rule', { rules: failures.slice(0, TOLD) }))
}

function told(template: string, places: readonly number[], failure: RuleFailure): JsonObject {
  return { template, rule: places[failure.rule] ?? null, failure: explainFailure(failure) }
}
