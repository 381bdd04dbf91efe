import type { Decision } from '../../core/decide.ts'
import type { Classified } from '../../core/guard.ts'
import type { Risk } from '../../core/risk.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { PlacedOperation, Target } from './places.ts'

/** Beyond these an entry says only how many more there were. */
const MOST = 50

export interface RuledOperation {
  readonly name: string
  readonly risk: Risk
  readonly decision: Decision
  readonly rule: string | null
}

/** What an audit entry says of the operations of one request: names, places, rules; no arguments. */
export function operationFacts(
  ruled: readonly RuledOperation[],
  placed: readonly PlacedOperation[],
): JsonObject {
  const operations = ruled.slice(0, MOST).map(({ name, risk, rule }, index) => ({
    name,
    risk,
    rule,
    targets: (placed[index]?.targets ?? []).slice(0, MOST).map(targetFacts),
  }))
  const more = ruled.length - operations.length
  return more > 0 ? { operations, more } : { operations }
}

function targetFacts({ resource, location }: Target): JsonObject {
  return {
    kind: resource.kind,
    id: resource.id,
    ...(location !== null && {
      name: location.name,
      environments: location.environments.map((place) => place.name ?? place.id),
      ...(location.notes.length > 0 && { notes: [...location.notes] }),
    }),
  }
}

/** One line a person can decide on: `volumeDelete (destructive): volume "pgdata", instances in staging`. */
export function summaryOf(
  operations: Classified['operations'],
  placed: readonly PlacedOperation[],
): string {
  return operations
    .slice(0, 5)
    .map(({ name, risk }, index) => {
      const targets = (placed[index]?.targets ?? []).slice(0, 5).map(targetWords)
      return `${name} (${risk})${targets.length > 0 ? `: ${targets.join('; ')}` : ''}`
    })
    .concat(operations.length > 5 ? [`and ${operations.length - 5} more`] : [])
    .join(', then ')
}

function targetWords({ resource, location }: Target): string {
  const label = location?.name ? `"${location.name}"` : resource.id
  const where = location?.environments.map((place) => place.name ?? place.id).join(' and ')
  const words = [`${resource.kind} ${label}${where ? ` in ${where}` : ''}`]
  if (location && location.notes.length > 0) words.push(`${location.notes.join(', ')}`)
  return words.join('; ')
}
