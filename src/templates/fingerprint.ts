import { createHash } from 'node:crypto'
import type { Configuration, Environment, Template } from '../core/template.ts'
import { canonicalJson, type JsonObject } from '../lib/json.ts'

/**
 * All that a template means: itself, each environment it names, and the providers that its grants may
 * lead to. What a lease under it may do cannot change without this changing.
 */
export function definition(template: Template, configuration: Configuration): JsonObject {
  const environments = template.environments.map((name) => [
    name,
    Object.hasOwn(configuration.environments, name) ? configuration.environments[name] : null,
  ])
  const providers = reachable(template, configuration)
  const whole = {
    template,
    environments: Object.fromEntries(environments),
    ...(providers.length > 0 && { providers: Object.fromEntries(providers) }),
  }
  // Interfaces have no index signature; a Configuration holds JSON and nothing else.
  return whole as unknown as JsonObject
}

/** Where only the connection tells the provider, it may be any of them. */
function reachable(template: Template, { environments, providers }: Configuration) {
  const named = new Set(
    template.environments
      .flatMap((name) => (Object.hasOwn(environments, name) ? (environments[name] ?? []) : []))
      .flatMap((environment: Environment) => Object.entries(environment.bindings))
      .filter(([grant]) => Object.hasOwn(template.grants, grant))
      .map(([, { provider }]) => provider),
  )
  return Object.entries(providers).filter(([name]) => named.has(name) || named.has(null))
}

/** SHA-256 over the canonical JSON of `definition`, in hex. */
export function fingerprint(template: Template, configuration: Configuration): string {
  const bytes = canonicalJson(definition(template, configuration))
  return createHash('sha256').update(bytes).digest('hex')
}
