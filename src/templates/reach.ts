import { resolveOperations } from '../core/decide.ts'
import type { Risk } from '../core/risk.ts'
import type { Configuration, Environment, GrantRule, Template } from '../core/template.ts'
import { type CompileContext, factsOf, providerOf } from './context.ts'

/** What one grant of a template gives in one environment. */
export interface Reach {
  readonly provider: string | null
  /** False: the provider is not known, so these are the patterns as written. */
  readonly exact: boolean
  readonly allow: ReadonlySet<string>
  readonly approve: ReadonlySet<string>
  /** Patterns; empty when `exact`, because then `allow` and `approve` are what is left. */
  readonly deny: ReadonlySet<string>
  readonly riskOf: (operation: string) => Risk | undefined
}

const NONE: ReadonlySet<string> = new Set()

/** A grant without a place in the environment, or a template that does not name it, gives nothing. */
export function reachOf(
  configuration: Configuration,
  template: Template,
  environment: string,
  grant: string,
  context: CompileContext,
): Reach | undefined {
  const place = own(configuration.environments, environment)
  const rule = own(template.grants, grant)
  if (!template.environments.includes(environment) || !place || !rule) return undefined
  return reachIn(place, grant, rule, context)
}

function reachIn(
  environment: Environment,
  grant: string,
  rule: GrantRule,
  context: CompileContext,
): Reach | undefined {
  const binding = own(environment.bindings, grant)
  if (!binding) return undefined
  const provider = providerOf(binding, context)
  const catalogue = factsOf(binding, context)?.catalogue
  if (!catalogue) {
    const { allow, approve, deny } = rule
    const sets = { allow: new Set(allow), approve: new Set(approve), deny: new Set(deny) }
    return { provider, exact: false, ...sets, riskOf: () => undefined }
  }
  const resolved = resolveOperations(rule, catalogue, environment.protected)
  return {
    provider,
    exact: true,
    allow: new Set(resolved.allowed),
    approve: new Set(resolved.approve),
    deny: NONE,
    riskOf: (operation) => catalogue.operations.get(operation) ?? 'write',
  }
}

export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
