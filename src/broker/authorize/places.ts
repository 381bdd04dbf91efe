import type { Operation, Resource } from '../../core/guard.ts'
import type { Location, Place } from '../../providers/guard.ts'
import { Denied } from './denial.ts'

/** A thing that a request names, with where it lies. */
export interface Target {
  readonly resource: Resource
  /** Null: its place was told by the request itself, or does not matter. */
  readonly location: Location | null
}

export interface PlacedOperation {
  readonly operation: Operation
  readonly targets: readonly Target[]
}

export type Locate = (resource: Resource) => Promise<Location | null>

/**
 * Finds out where everything lies that the operations touch, and lets only what lies wholly in the
 * lease's own place pass. Throws `Denied`. Ids compare exactly; an unknown place is never our own.
 */
export async function placeOperations(
  operations: readonly Operation[],
  place: Place,
  locate: Locate,
): Promise<readonly PlacedOperation[]> {
  const placed: PlacedOperation[] = []
  for (const operation of operations) {
    // What the request itself tells is refused before the provider is asked anything on its behalf.
    checkTold(operation, place)
    const isLookedUp = operation.environments.some(({ from }) => from === 'lookup')
    const located = isLookedUp ? await lookUp(operation, place, locate) : NOWHERE
    const targets = operation.resources.map((resource) => ({
      resource,
      location: located.get(keyOf(resource)) ?? null,
    }))
    placed.push({ operation, targets })
  }
  return placed
}

const NOWHERE: ReadonlyMap<string, Location> = new Map()

function checkTold(operation: Operation, place: Place): void {
  if (operation.environments.length === 0) {
    throw refuse(operation, 'environment_unknown', 'it does not say which environment it touches')
  }
  for (const source of operation.environments) {
    switch (source.from) {
      case 'lease':
      case 'lookup':
        break
      case 'argument':
        if (source.id !== place.environment) throw elsewhere(operation, `environment ${source.id}`)
        break
      case 'optional-argument-missing':
        throw refuse(
          operation,
          'environment_unknown',
          `without "${source.argument}" it touches every environment`,
          `give "${source.argument}": ${place.environment}`,
        )
      case 'account':
        throw elsewhere(operation, 'the whole account or workspace')
      default:
        source satisfies never
        throw refuse(operation, 'environment_unknown', 'its environment is told in an unknown way')
    }
  }
}

async function lookUp(
  operation: Operation,
  place: Place,
  locate: Locate,
): Promise<ReadonlyMap<string, Location>> {
  const located = new Map<string, Location>()
  for (const source of operation.environments) {
    if (source.from !== 'lookup') continue
    const location = await locate(source.resource)
    if (!location) {
      const { kind, id } = source.resource
      throw refuse(operation, 'environment_unknown', `there is no ${kind} ${id} to be found`)
    }
    if (source.match === 'project') checkProject(operation, location, place)
    else checkEnvironments(operation, source.resource, location, place)
    located.set(keyOf(source.resource), location)
  }
  return located
}

const keyOf = ({ kind, id }: Resource) => `${kind} ${id}`

function checkProject(operation: Operation, location: Location, place: Place): void {
  if (place.project !== null && location.project?.id === place.project) return
  throw elsewhere(operation, 'another project')
}

function checkEnvironments(
  operation: Operation,
  { kind, id }: Resource,
  { name, environments, project }: Location,
  place: Place,
): void {
  const label = `${kind} ${name === null ? id : `"${name}" (${id})`}`
  if (environments.length === 0) {
    throw refuse(operation, 'environment_unknown', `nobody says where ${label} lies`)
  }
  const others = environments.filter((environment) => environment.id !== place.environment)
  if (others.length > 0) {
    const own = others.length < environments.length
    const names = others.map((other) => `"${other.name ?? other.id}"`).join(', ')
    throw elsewhere(operation, `${label} ${own ? 'also lies' : 'lies'} in ${names}`)
  }
  if (place.project !== null && project !== null && project.id !== place.project) {
    throw elsewhere(operation, `${label} lies in another project`)
  }
}

function elsewhere(operation: Operation, what: string): Denied {
  return refuse(
    operation,
    'environment_mismatch',
    `${what}: not this task's environment`,
    'work on what lies wholly in the environment of this task; for anything else a person starts another task there',
  )
}

function refuse(
  { name, risk }: Operation,
  code: 'environment_mismatch' | 'environment_unknown',
  why: string,
  next = 'name something that exists in the environment of this task',
): Denied {
  return new Denied({ code, detail: `"${name}" was refused: ${why}`, next, operation: name, risk })
}
