import newer from './newer.json' with { type: 'json' }

type Lines = Readonly<Record<string, string>>

/**
 * What newer clients use and the introspection behind the other two files does not have yet. Each
 * entry was judged like those; `source` says where its names and types are from. What is in neither
 * stays unknown and is refused.
 */
export const NEWER: {
  readonly source: string
  readonly operations: Readonly<Record<'query' | 'mutation' | 'subscription', Lines>>
  readonly objects: Lines
  readonly possible: Lines
  readonly inputs: Lines
} = newer

/** The lines of both, by name; where both have one, what is newer is appended. */
export function withNewer(known: Lines, more: Lines): ReadonlyMap<string, string> {
  const lines = new Map(Object.entries(known))
  for (const [name, line] of Object.entries(more)) {
    lines.set(name, [lines.get(name), line].filter(Boolean).join(' '))
  }
  return lines
}
