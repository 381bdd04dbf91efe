import type { Narrowness } from '../guard.ts'
import type { Attempt } from './attempts.ts'
import type { Candidates } from './candidates.ts'
import { words } from './words.ts'

export interface Tried extends Attempt {
  readonly outcome: 'refused' | 'works' | 'unclear'
  readonly code: string | null
}

const REFUSED = {
  role: 'the role is refused',
  inside: 'on the granted tables it is refused',
  outside: 'on tables outside the grant it is refused',
  make: 'it is also refused',
} as const

export function refusals(tried: readonly Tried[]): Narrowness[] {
  const refused = Map.groupBy(
    tried.filter(({ outcome }) => outcome === 'refused'),
    ({ group }) => group,
  )
  return [...refused].map(([group, members]) =>
    found('provider', `${REFUSED[group]} ${words(counted(members))}`),
  )
}

/** "DELETE (3 tables)". */
function counted(members: readonly Tried[]): string[] {
  const actions = Map.groupBy(members, ({ action }) => action)
  return [...actions].map(([action, all]) => {
    const [only] = all
    if (only?.on === null) return action
    return only?.group === 'make'
      ? `${action} ${words(all.flatMap(({ on }) => on ?? []))}`
      : `${action} (${all.length === 1 ? '1 table' : `${all.length} tables`})`
  })
}

/** What works although nobody granted it. The role is a member of nothing, so PUBLIC has the right. */
export function gaps(tried: readonly Tried[], { tables }: Candidates): Narrowness[] {
  const works = tried.filter(({ outcome }) => outcome === 'works')
  const kinds = Map.groupBy(works, ({ group, action }) => `${group} ${action}`)
  return [...kinds.values()].flatMap((members) => {
    const [first] = members
    if (!first) return []
    const shown = members.flatMap(({ on }) => on ?? [])
    const all = tables.find(
      ({ action, inside }) =>
        action === first.action && (inside ? 'inside' : 'outside') === first.group,
    )
    const more =
      all && all.openCount > shown.length ? ` and ${all.openCount - shown.length} more` : ''
    return found('nobody', `that ${phrase(first, words(shown))}${more} is refused: it works`)
  })
}

export function unclear(tried: readonly Tried[]): Narrowness[] {
  const open = tried.filter(({ outcome }) => outcome === 'unclear')
  if (open.length === 0) return []
  const shown = open.map((one) => `${phrase(one, one.on ?? '')} (${one.code})`)
  return [found('nobody', `what could not be told, by SQLSTATE: ${shown.join(', ')}`)]
}

function phrase({ group, action }: Attempt, on: string): string {
  if (on === '') return action
  return group === 'make' ? `${action} ${on}` : `${action} on ${on}`
}

export function found(by: Narrowness['by'], message: string): Narrowness {
  return { by, message, probed: true }
}
