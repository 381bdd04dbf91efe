import { BrokerError } from '../../errors.ts'
import type { Json, JsonObject } from '../../lib/json.ts'
import { nearest } from '../names.ts'
import type { Catalogue } from '../risk.ts'
import { ENVIRONMENT_ID, parametersOf, type RestDefinition } from './definition.ts'

/** What is known of a provider of one's own without talking to it. */
export interface RestFacts {
  readonly catalogue: Catalogue
  readonly secretPrompt: string
  /** `hosts` of its guard. */
  readonly guard: { readonly hosts: readonly string[] }
  parseTarget(target: JsonObject): JsonObject
  variables(target: JsonObject): readonly string[]
}

export function restFacts(name: string, definition: RestDefinition): RestFacts {
  const { hosts, operations, variables } = definition
  return {
    catalogue: {
      operations: new Map(operations.map(({ name: operation, risk }) => [operation, risk])),
      open: false,
    },
    secretPrompt: `credential of ${name}`,
    guard: { hosts },
    parseTarget: (target) => parseTarget(name, definition, target),
    variables: () => Object.keys(variables),
  }
}

/**
 * Exactly the parameters that the definition names, each an id. Throws `config_invalid` with the path
 * of the first thing that is wrong.
 */
function parseTarget(name: string, definition: RestDefinition, target: JsonObject): JsonObject {
  const wanted = parametersOf(definition)
  const stranger = Object.keys(target).find((key) => !wanted.includes(key))
  if (stranger !== undefined) {
    const near = nearest(stranger, wanted)
    throw invalid(
      `a ${name} target has no "${stranger}"`,
      near ? `did you mean "${near}"?` : `it has ${wanted.join(', ') || 'nothing to set'}`,
      stranger,
    )
  }
  const entries = definition.environment.places.map((place) => {
    const value = Object.hasOwn(target, place.name) ? target[place.name] : undefined
    return [
      place.name,
      idOf(value, name, place.name, place.in === 'host' ? definition.hosts : null),
    ]
  })
  return Object.fromEntries(entries)
}

function idOf(
  value: Json | undefined,
  provider: string,
  key: string,
  hosts: readonly string[] | null,
): string {
  if (typeof value !== 'string' || !ENVIRONMENT_ID.test(value)) {
    const what = value === undefined ? 'is missing' : 'is not an id'
    throw invalid(
      `"${key}" of a ${provider} target ${what}`,
      `write it as in the requests, in quotes where it is a number: ${key}: "…"`,
      key,
    )
  }
  if (hosts !== null && !hosts.includes(value)) {
    throw invalid(
      `"${key}" of a ${provider} target is not one of its hosts`,
      `hosts: ${hosts.join(', ')}`,
      key,
    )
  }
  return value
}

/**
 * The one id of a lease's environment. Several parameters are joined by a slash, which stands in none
 * of them, so that no two places share an id. Without any, the account is all there is.
 */
export function environmentId(values: readonly string[]): string {
  return values.length > 0 ? values.join('/') : 'account'
}

function invalid(message: string, hint: string, key: string): BrokerError {
  return new BrokerError('config_invalid', message, { hint, details: { path: [key] } })
}
