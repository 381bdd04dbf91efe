import type { EnvironmentSource, Resource } from '../../../core/guard.ts'
import { malformed, quote } from '../../../core/refused.ts'
import type { Json } from '../../../lib/json.ts'
import type { OperationFacts, Place } from '../catalogue/operations.ts'
import { type Arguments, valuesAt } from './arguments.ts'

export interface Located {
  readonly resources: readonly Resource[]
  readonly environments: readonly EnvironmentSource[]
}

/** What ids look like: no white space, no slashes, nothing that could be an expression. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/

/**
 * What an operation names and how its environment is known. An id stands for itself only where it is
 * the environment; every other id has to be looked up, also beside an environment argument: a server
 * that looks only at the id would not care what environment was named with it.
 */
export function locate(name: string, facts: OperationFacts, args: Arguments): Located {
  const resources: Resource[] = []
  const environments: EnvironmentSource[] = facts.about === null ? [] : [{ from: facts.about }]
  for (const place of facts.places) {
    const ids = valuesAt(args, place.path).map((value) => readId(value, name, place))
    if (ids.length === 0 && place.widensIfMissing && facts.about === null) {
      environments.push({ from: 'optional-argument-missing', argument: place.path.join('.') })
    }
    for (const id of ids) {
      const resource = { kind: place.kind, id }
      resources.push(resource)
      environments.push(...sourceOf(resource, place))
    }
  }
  // Nothing that says where: whatever it touches, it is not known to be the lease's.
  return { resources, environments: environments.length > 0 ? environments : [{ from: 'account' }] }
}

function sourceOf(resource: Resource, { match }: Place): readonly EnvironmentSource[] {
  if (match === 'argument') return [{ from: 'argument', id: resource.id }]
  return match === 'none' ? [] : [{ from: 'lookup', resource, match }]
}

export function readId(value: Json, operation: string, { path }: Pick<Place, 'path'>): string {
  if (typeof value === 'string' && ID.test(value)) return value
  throw malformed(`${quote(path.join('.'))} of ${quote(operation)} is not an id`)
}

/** True for what may stand where an id is expected. */
export function isId(text: string): boolean {
  return ID.test(text)
}
