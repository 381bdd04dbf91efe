import { parametersOf, type RestDefinition } from '../../core/rest/definition.ts'
import { environmentId } from '../../core/rest/facts.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Guard, Place } from '../guard.ts'
import { classify, inspect } from './classify.ts'
import type { CompiledRest } from './compiled.ts'
import { credentialField, upstreamOf } from './connection.ts'

/** Judges requests by a definition. Nothing is ever looked up: requests say where they belong. */
export function createGuard(name: string, definition: RestDefinition, rest: CompiledRest): Guard {
  const { credential } = definition
  return {
    hosts: definition.hosts,
    carriers: [{ header: credential.header, scheme: credential.scheme }],
    inspect: (request) => inspect(rest, request),
    classify: (request) => classify(rest, request),
    place: (target) => placeOf(definition, target),
    // No classified request asks for one, so whatever is asked about is nowhere.
    locate: async () => null,
    inject: ({ secret }) => [credentialField(credential, secret)],
    upstream: (connection, host) => upstreamOf(name, definition, connection, host),
  }
}

/** An API without environments is one place: its requests name none to compare. */
function placeOf(definition: RestDefinition, target: JsonObject): Place {
  const values = parametersOf(definition).map((name) => {
    const value = target[name]
    if (typeof value !== 'string') throw new TypeError('a target of another provider')
    return value
  })
  return { environment: environmentId(values), project: null }
}
