import type { EnvironmentSource, Operation, Resource } from '../../../core/guard.ts'

/**
 * Sorted and without repetitions, so that equal requests are equal whatever order they came in. The
 * key has to tell any two different values apart.
 */
export function settle<T>(values: readonly T[], keyOf: (value: T) => string): readonly T[] {
  if (values.length < 2) return values
  const byKey = new Map(values.map((value) => [keyOf(value), value]))
  return [...byKey.keys()].sort().flatMap((key) => byKey.get(key) ?? [])
}

// Kinds, ids, names and paths hold no white space, so blanks keep the parts of a key apart.

export function resourceKey({ kind, id }: Resource): string {
  return `${kind} ${id}`
}

export function sourceKey(source: EnvironmentSource): string {
  switch (source.from) {
    case 'argument':
      return `argument ${source.id}`
    case 'lookup':
      return `lookup ${resourceKey(source.resource)} ${source.match}`
    case 'optional-argument-missing':
      return `missing ${source.argument}`
    default:
      return source.from
  }
}

/** For operations whose own lists are settled. */
export function operationKey({ name, resources, environments }: Operation): string {
  return [name, ...resources.map(resourceKey), ...environments.map(sourceKey)].join(' ')
}
