import { resolveOperations } from '../../core/decide.ts'
import type { Catalogue } from '../../core/risk.ts'
import type { GrantRule } from '../../core/template.ts'
import type { Denial } from './denial.ts'

/** What a grant's rule comes to in the environment of the lease, in the rule's own patterns. */
export interface Passing {
  /**
   * By these something passes without a person. Where a protected environment holds a part of what a
   * pattern reaches, the operations themselves that it does not hold.
   */
  readonly free: readonly string[]
  /** By these something is held until a person approves it. */
  readonly held: readonly string[]
}

/** Operations named in the place of one pattern. */
const MOST = 20

/** Looks at every operation of the catalogue: to be done once for a lease. Pure. */
export function passingOf(rule: GrantRule, catalogue: Catalogue, isProtected: boolean): Passing {
  const free: string[] = []
  const held = new Set<string>()
  for (const pattern of rule.allow) {
    const only = { ...rule, allow: [pattern] }
    const passing = resolveOperations(only, catalogue, isProtected).allowed
    const elsewhere = resolveOperations(only, catalogue).allowed
    if (passing.length === elsewhere.length) free.push(...(passing.length > 0 ? [pattern] : []))
    else {
      free.push(...passing.slice(0, MOST))
      held.add(pattern)
    }
  }
  for (const pattern of rule.approve) {
    const only = { allow: [], approve: [pattern], deny: rule.deny }
    if (resolveOperations(only, catalogue).approve.length > 0) held.add(pattern)
  }
  return { free, held: [...held] }
}

/** Who was refused an operation learns which other ones a person may still approve. */
export function advised(denial: Denial, passing: Passing | undefined): Denial {
  if (denial.code !== 'operation_denied' || !passing || passing.held.length === 0) return denial
  const held = passing.held.join(', ')
  return { ...denial, next: `${denial.next}; held until a person approves: ${held}` }
}
