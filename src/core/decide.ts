import { BrokerError } from '../errors.ts'
import { formatDuration } from '../lib/duration.ts'
import { TIMING } from './deadlines.ts'
import { matchesGlob, nearest } from './names.ts'
import { type Catalogue, NEVER_BY_GLOB, RISKS, type Risk } from './risk.ts'
import type { GrantRule, Template } from './template.ts'

export type Decision = 'allow' | 'approve' | 'deny'

/** A pattern that reaches nothing, and why. Never to be ignored: someone meant something by it. */
export interface UnknownPattern {
  readonly pattern: string
  /** `absent`: no such class, operation or match. `by-name`: it only matches what a glob never reaches. */
  readonly reason: 'absent' | 'by-name'
  /** The nearest operation or class, if one is near; for `by-name` an operation it would match. */
  readonly suggestion: string | null
}

export interface ResolvedRule {
  /** Exact operations, sorted. */
  readonly allowed: readonly string[]
  /** Exact operations that a person has to approve, sorted. Never one that is also in `allowed`. */
  readonly approve: readonly string[]
  readonly unknown: readonly UnknownPattern[]
}

/** A name of the user's own: a scope-token of RFC 6749 §3.3, without the `*` of globs. */
const OWN_NAME = /^[\x21\x23-\x29\x2b-\x5b\x5d-\x7e]+$/

/**
 * Decides one operation: `deny` beats `approve` beats `allow`, and what no rule names is denied, as
 * is every operation the catalogue does not know. A glob in `allow` or `approve` reaches only `read`
 * and `write`; one in `deny` reaches everything. In a protected environment everything beyond `read`
 * needs approval.
 */
export function decide(
  rule: GrantRule,
  catalogue: Catalogue,
  operation: string,
  protectedEnvironment = false,
): Decision {
  return decideByRule(rule, catalogue, operation, protectedEnvironment).decision
}

export interface RuledDecision {
  readonly decision: Decision
  /** The pattern that decided, as in `allow: read`; null: none did. */
  readonly rule: string | null
}

/** As `decide`, and says which rule it was. */
export function decideByRule(
  rule: GrantRule,
  catalogue: Catalogue,
  operation: string,
  protectedEnvironment: boolean,
): RuledDecision {
  const risk = riskOf(rule, catalogue, operation)
  if (risk === undefined) return { decision: 'deny', rule: null }
  const first = (patterns: readonly string[], denying: boolean) =>
    patterns.find((pattern) => reaches(pattern, operation, risk, denying))
  const denied = first(rule.deny, true)
  if (denied !== undefined) return { decision: 'deny', rule: `deny: ${denied}` }
  const held = first(rule.approve, false)
  if (held !== undefined) return { decision: 'approve', rule: `approve: ${held}` }
  const allowed = first(rule.allow, false)
  if (allowed === undefined) return { decision: 'deny', rule: null }
  if (protectedEnvironment && risk !== 'read') {
    return { decision: 'approve', rule: `protected (allow: ${allowed})` }
  }
  return { decision: 'allow', rule: `allow: ${allowed}` }
}

/** Every operation the rule reaches, decided one by one, and the patterns that reach none. */
export function resolveOperations(
  rule: GrantRule,
  catalogue: Catalogue,
  protectedEnvironment = false,
): ResolvedRule {
  const universe = [...known(rule, catalogue)].sort()
  const decided = (wanted: Decision) =>
    universe.filter((name) => decide(rule, catalogue, name, protectedEnvironment) === wanted)
  return {
    allowed: decided('allow'),
    approve: decided('approve'),
    unknown: unknownPatterns(rule, catalogue, universe),
  }
}

/**
 * The lifetime of a lease in milliseconds. Nothing asked for: the template's own. More than the
 * template or the cap (8 h; 1 h in a protected environment) allows is `denied`, never cut silently:
 * a task that believes it has longer would fail halfway.
 */
export function narrowTtl(
  requestedMs: number | undefined,
  template: Pick<Template, 'name' | 'ttlMs' | 'maxTtlMs'>,
  protectedEnvironment: boolean,
): number {
  const most = Math.min(template.maxTtlMs, ttlCap(protectedEnvironment))
  if (requestedMs === undefined) return Math.min(template.ttlMs, most)
  if (!Number.isSafeInteger(requestedMs) || requestedMs <= 0) {
    throw new BrokerError('invalid_request', 'a ttl must be a positive whole number of ms', {
      hint: 'write it like 30m or 1h30m',
    })
  }
  if (requestedMs <= most) return requestedMs
  throw new BrokerError(
    'denied',
    `template "${template.name}" allows at most ${formatDuration(most)}${
      protectedEnvironment ? ' in a protected environment' : ''
    }, asked for ${formatDuration(requestedMs)}`,
    { hint: `ask for --ttl ${formatDuration(most)} or less`, details: { maxTtlMs: most } },
  )
}

/** The longest any lease may live, in milliseconds, whatever a template says. */
export function ttlCap(protectedEnvironment: boolean): number {
  return protectedEnvironment ? TIMING.maxProtectedTtlMs : TIMING.maxTtlMs
}

/**
 * Of these operations, those that the patterns reach, in their order; `stray`: the first pattern that
 * reaches none of them. As in an allow rule: a class or an exact name means what it says, a glob never
 * reaches what has to be named.
 */
export function narrowOperations(
  operations: readonly string[],
  patterns: readonly string[],
  catalogue: Catalogue,
): { readonly kept: readonly string[]; readonly stray: string | undefined } {
  const reach = (pattern: string, name: string) =>
    reaches(pattern, name, catalogue.operations.get(name) ?? 'write', false)
  return {
    kept: operations.filter((name) => patterns.some((pattern) => reach(pattern, name))),
    stray: patterns.find((pattern) => !operations.some((name) => reach(pattern, name))),
  }
}

/** Undefined: not an operation here. A name of the user's own counts only where a rule names it. */
function riskOf(rule: GrantRule, catalogue: Catalogue, operation: string): Risk | undefined {
  const listed = catalogue.operations.get(operation)
  if (listed !== undefined || !catalogue.open || !OWN_NAME.test(operation)) return listed
  return rule.allow.includes(operation) || rule.approve.includes(operation) ? 'write' : undefined
}

/**
 * A word that is both a risk class and an operation means both. Only exact names and classes reach
 * what a glob must not, unless the rule takes away.
 */
function reaches(pattern: string, operation: string, risk: Risk, denying: boolean): boolean {
  if (pattern === operation || pattern === risk) return true
  if (!pattern.includes('*') || (!denying && NEVER_BY_GLOB.has(risk))) return false
  return matchesGlob(pattern, operation)
}

function known(rule: GrantRule, catalogue: Catalogue): ReadonlySet<string> {
  const names = new Set(catalogue.operations.keys())
  if (!catalogue.open) return names
  for (const name of [...rule.allow, ...rule.approve]) if (OWN_NAME.test(name)) names.add(name)
  return names
}

function unknownPatterns(
  rule: GrantRule,
  catalogue: Catalogue,
  universe: readonly string[],
): readonly UnknownPattern[] {
  const found: UnknownPattern[] = []
  const seen = new Set<string>()
  const check = (pattern: string, denying: boolean) => {
    const unknown = explain(pattern, catalogue, universe, denying)
    if (!unknown || seen.has(pattern)) return
    seen.add(pattern)
    found.push(unknown)
  }
  for (const pattern of [...rule.allow, ...rule.approve]) check(pattern, false)
  for (const pattern of rule.deny) check(pattern, true)
  return found
}

function explain(
  pattern: string,
  catalogue: Catalogue,
  universe: readonly string[],
  denying: boolean,
): UnknownPattern | undefined {
  if (RISKS.some((risk) => risk === pattern) || universe.includes(pattern)) return undefined
  if (denying && catalogue.open && OWN_NAME.test(pattern)) return undefined
  const matched = pattern.includes('*') ? universe.filter((name) => matchesGlob(pattern, name)) : []
  const within = matched.some(
    (name) => denying || !NEVER_BY_GLOB.has(catalogue.operations.get(name) ?? 'write'),
  )
  if (within) return undefined
  const [dangerous] = matched
  if (dangerous !== undefined) return { pattern, reason: 'by-name', suggestion: dangerous }
  return { pattern, reason: 'absent', suggestion: nearest(pattern, [...universe, ...RISKS]) }
}
