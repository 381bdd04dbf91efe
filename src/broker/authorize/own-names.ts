import type { Resource } from '../../core/guard.ts'
import type { Location, Named, Place } from '../../providers/guard.ts'
import type { PlacedOperation } from './places.ts'

/**
 * Names, for people, for what nobody looks up because the request itself tells it: the lease's own
 * environment, and variables in it. The environment has the broker's name, which no task can change;
 * where it lies is told in the provider's, if something else that was looked up said it.
 */
export function withOwnNames(
  placed: readonly PlacedOperation[],
  environment: string,
  place: Place,
): readonly PlacedOperation[] {
  const own = ownPlace(placed, environment, place)
  return placed.map(({ operation, targets }) => ({
    operation,
    targets: targets.map(({ resource, location }) => ({
      resource,
      location: location ?? ownLocation(resource, environment, own),
    })),
  }))
}

function ownPlace(
  placed: readonly PlacedOperation[],
  environment: string,
  { environment: id }: Place,
): Named {
  const known = placed
    .flatMap(({ targets }) => targets)
    .flatMap(({ location }) => location?.environments ?? [])
    .find((each) => each.id === id && each.name !== null)
  return known ?? { id, name: environment }
}

function ownLocation({ kind, id }: Resource, environment: string, own: Named): Location | null {
  const here = { environments: [own], project: null, notes: [] }
  if (kind === 'variable') return { ...here, name: id }
  return kind === 'environment' && id === own.id ? { ...here, name: environment } : null
}
