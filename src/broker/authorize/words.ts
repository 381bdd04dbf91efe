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
  return more > 0 ? { more, operations } : { operations }
}

function targetFacts({ resource, location }: Target): JsonObject {
  const { kind, id } = resource
  if (location === null) return { id, kind }
  const { name, notes } = location
  const environments = location.environments.map((place) => place.name ?? place.id)
  return { environments, id, kind, name, ...(notes.length > 0 && { notes: [...notes] }) }
}

/** One line a person can decide on: `volumeDelete (destructive): volume "pgdata", instances in staging`. */
export function summaryOf(
  operations: Classified['operations'],
  placed: readonly PlacedOperation[],
): string {
  return operations
    .slice(0, 5)
    .map(({ name, risk }, index) => {
      const targets = targetsInWords(placed[index]?.targets ?? [])
      return `${name} (${risk})${targets.length > 0 ? `: ${targets.join('; ')}` : ''}`
    })
    .concat(operations.length > 5 ? [`and ${operations.length - 5} more`] : [])
    .join(', then ')
}

/** The narrowest first: what contains the others says least, and is what is cut. */
const WIDE: readonly string[] = ['environment', 'project']

function targetsInWords(targets: readonly Target[]): readonly string[] {
  const variables = targets.filter(({ resource }) => resource.kind === 'variable')
  const things = targets
    .filter(({ resource }) => resource.kind !== 'variable')
    .toSorted((one, other) => width(one) - width(other))
  const named = variables.length === 0 ? [] : [variablesInWords(variables)]
  return [...named, ...things.slice(0, 5).map(targetWords)]
}

function width({ resource }: Target): number {
  return WIDE.indexOf(resource.kind)
}

/** `variables "A", "B" and 7 more`: names, never values. */
function variablesInWords(variables: readonly Target[]): string {
  const names = variables.slice(0, 10).map(({ resource }) => `"${resource.id}"`)
  const more = variables.length - names.length
  const what = variables.length === 1 ? 'variable' : 'variables'
  return `${what} ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function targetWords({ resource, location }: Target): string {
  const label = location?.name ? `"${location.name}"` : resource.id
  const places = resource.kind === 'environment' ? [] : (location?.environments ?? [])
  const where = places.map((place) => place.name ?? place.id).join(' and ')
  const words = [`${resource.kind} ${label}${where ? ` in ${where}` : ''}`]
  if (location && location.notes.length > 0) words.push(`${location.notes.join(', ')}`)
  return words.join('; ')
}
