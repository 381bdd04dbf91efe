import { resolveOperations, type UnknownPattern } from '../core/decide.ts'
import type { Environment, GrantRule, Template } from '../core/template.ts'
import { type CompileContext, factsOf, providerOf } from './context.ts'
import type { Finding, Path } from './finding.ts'
import { quoted } from './words.ts'

/** The rules about a template's grants in each of its environments. */
export function checkGrants(
  template: Template,
  environments: readonly Environment[],
  context: CompileContext,
): readonly Finding[] {
  return [
    ...checkPlaces(template, environments),
    ...Object.entries(template.grants).flatMap(([grant, rule]) => [
      ...checkUse(template, grant, rule),
      ...checkPatterns(template, grant, rule, environments, context),
    ]),
    ...environments.flatMap((environment) => checkVariables(template, environment, context)),
  ]
}

/**
 * One template may serve environments that lack some of its grants: leases there are without them,
 * which is narrower and therefore a warning. A grant that has no place anywhere is a slip.
 */
function checkPlaces(template: Template, environments: readonly Environment[]): Finding[] {
  if (environments.length === 0) return []
  const candidates = new Set(environments.flatMap(({ bindings }) => Object.keys(bindings)))
  return Object.keys(template.grants).flatMap((grant): Finding[] => {
    const lacking = environments.filter(({ bindings }) => !Object.hasOwn(bindings, grant))
    const path = ['templates', template.name, 'grants', grant]
    if (lacking.length === 0) return []
    if (lacking.length < environments.length) {
      const names = lacking.map(({ name }) => quoted(name)).join(', ')
      const message = `grant ${quoted(grant)} has no place in ${names}: leases there are without it`
      return [{ severity: 'warning', message, path, at: 'key' }]
    }
    const message = `grant ${quoted(grant)} has no place in any environment of template ${quoted(template.name)}`
    return [{ severity: 'error', message, path, at: 'key', near: { word: grant, candidates } }]
  })
}

function checkUse(template: Template, grant: string, rule: GrantRule): Finding[] {
  if (rule.allow.length > 0 || rule.approve.length > 0) return []
  const path = ['templates', template.name, 'grants', grant]
  const message = `grant ${quoted(grant)} allows nothing: leases of this template are refused`
  return [{ severity: 'warning', message, path, at: 'key' }]
}

/** Against the catalogue of every provider that this grant means in some environment. */
function checkPatterns(
  template: Template,
  grant: string,
  rule: GrantRule,
  environments: readonly Environment[],
  context: CompileContext,
): Finding[] {
  const seen = new Set<string>()
  return environments.flatMap(({ bindings }): Finding[] => {
    const binding = Object.hasOwn(bindings, grant) ? bindings[grant] : undefined
    const provider = binding ? providerOf(binding, context) : null
    const facts = binding && factsOf(binding, context)
    if (!facts || provider === null || seen.has(provider)) return []
    seen.add(provider)
    const path = ['templates', template.name, 'grants', grant]
    return resolveOperations(rule, facts.catalogue).unknown.map((unknown) =>
      unknownPattern(unknown, rule, provider, path),
    )
  })
}

function unknownPattern(
  unknown: UnknownPattern,
  rule: GrantRule,
  provider: string,
  path: Path,
): Finding {
  const { pattern, reason, suggestion } = unknown
  const list = (['allow', 'approve', 'deny'] as const).find((key) => rule[key].includes(pattern))
  const index = list ? rule[list].indexOf(pattern) : -1
  const message =
    reason === 'by-name'
      ? `${quoted(pattern)} matches only operations that have to be named exactly or by class, like ${quoted(suggestion ?? '')}`
      : `provider ${quoted(provider)} has no operation ${quoted(pattern)}`
  return {
    severity: 'error',
    message,
    path: list ? [...path, list, index] : path,
    at: 'value',
    ...(suggestion !== null && { near: suggestion }),
  }
}

/** Two grants that set one variable: the child would get whichever came last. */
function checkVariables(
  template: Template,
  environment: Environment,
  context: CompileContext,
): Finding[] {
  const setBy = new Map<string, string>()
  const findings: Finding[] = []
  for (const grant of Object.keys(template.grants)) {
    for (const variable of variablesOf(grant, environment, context)) {
      const other = setBy.get(variable)
      setBy.set(variable, grant)
      if (other === undefined) continue
      const message = `grants ${quoted(other)} and ${quoted(grant)} both set ${variable} in environment ${quoted(environment.name)}`
      const path = ['templates', template.name, 'grants', grant]
      findings.push({ severity: 'error', message, path, at: 'key' })
      break
    }
  }
  return findings
}

function variablesOf(
  grant: string,
  { bindings }: Environment,
  context: CompileContext,
): readonly string[] {
  const binding = Object.hasOwn(bindings, grant) ? bindings[grant] : undefined
  const facts = binding && factsOf(binding, context)
  if (!binding || !facts) return []
  try {
    return facts.variables(facts.parseTarget(binding.target))
  } catch {
    return [] // a target that is refused has been reported where it stands
  }
}
