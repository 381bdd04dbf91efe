import { leadsOut, type Scope, scopeOf } from '../catalogue/scopes.ts'

/** How far from the granted object a selection stands. */
export interface Reach {
  /** The type whose fields are selected. */
  readonly type: string
  /** Where the nearest thing with a life of its own lives. */
  readonly scope: Scope
  /** Still at what the root field itself returned. */
  readonly atRoot: boolean
  /** Outside the granted object: only names may be seen from here on, and nothing leads back. */
  readonly namesOnly: boolean
}

/**
 * Follows one edge. Out of the granted object leads: from a project, or from a thing that spans a
 * project, into environments; from anything up to a whole project; to accounts and workspaces. What
 * the root field returns is the granted object itself: its arguments are judged where they stand.
 */
export function follow(from: Reach, field: string, type: string): Reach {
  const scope = scopeOf(type)
  const namesOnly = from.namesOnly || leadsOut(from.type, field)
  if (scope === 'part') return { ...from, type, namesOnly }
  return { type, scope, atRoot: false, namesOnly: namesOnly || isOutside(from, type, scope) }
}

function isOutside(from: Reach, type: string, scope: Scope): boolean {
  if (scope === 'account') return !(from.atRoot && from.scope === 'account')
  if (from.scope === 'account') return true
  if (from.scope === 'project' && scope === 'environment') return true
  return type === 'Project' && !from.atRoot
}
