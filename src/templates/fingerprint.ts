import { createHash } from 'node:crypto'
import type { Configuration, Template } from '../core/template.ts'
import { canonicalJson, type JsonObject } from '../lib/json.ts'

/**
 * All that a template means: itself, and each environment it names. What a lease under it may do
 * cannot change without this changing.
 */
export function definition(template: Template, configuration: Configuration): JsonObject {
  const environments = template.environments.map((name) => [
    name,
    Object.hasOwn(configuration.environments, name) ? configuration.environments[name] : null,
  ])
  const whole = { template, environments: Object.fromEntries(environments) }
  // Interfaces have no index signature; a Configuration holds JSON and nothing else.
  return whole as unknown as JsonObject
}

/** SHA-256 over the canonical JSON of `definition`, in hex. */
export function fingerprint(template: Template, configuration: Configuration): string {
  const bytes = canonicalJson(definition(template, configuration))
  return createHash('sha256').update(bytes).digest('hex')
}
