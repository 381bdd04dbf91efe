import type { EnvironmentSource, RequestFacts } from '../../core/guard.ts'
import { malformed, quote } from '../../core/refused.ts'
import { ENVIRONMENT_ID, pointerSteps, type RestPlace } from '../../core/rest/definition.ts'
import { environmentId } from '../../core/rest/facts.ts'
import { isObject, type Json } from '../../lib/json.ts'
import type { Body } from './body.ts'
import { valuesOf } from './headers.ts'
import { type Parameters, sameName } from './parameters.ts'
import { valueAt } from './pointer.ts'

/** All of a request that may say where it belongs. */
export interface Said {
  readonly request: RequestFacts
  /** By placeholder, decoded. */
  readonly path: ReadonlyMap<string, string>
  readonly query: Parameters
  readonly body: Body
}

/** An environment that a request names; null where it does not. */
export interface Named {
  readonly name: string
  readonly value: string | null
}

/** Reads each place. Refused is what is not an id, or stands there more than once. */
export function readPlaces(places: readonly RestPlace[], said: Said): readonly Named[] {
  return places.map((place) => {
    const values = READERS[place.in](place.at, said)
    if (values.length > 1) throw malformed(`${quote(place.name)} stands twice`)
    const [value = ''] = values
    if (value !== '' && !ENVIRONMENT_ID.test(value))
      throw malformed(`${quote(place.name)} is not an id`)
    return { name: place.name, value: value === '' ? null : value }
  })
}

const READERS: Readonly<Record<RestPlace['in'], (at: string, said: Said) => readonly string[]>> = {
  path: (at, { path }) => [path.get(at) ?? ''],
  query: (at, { query }) => query.flatMap(([name, value]) => (name === at ? [value] : [])),
  header: (at, { request }) => valuesOf(request, at),
  host: (_, { request }) => [request.authority],
  body: (at, { body }) => [idOf(valueAt(body.json, pointerSteps(at) ?? []), at)],
}

function idOf(value: Json | undefined, at: string): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  throw malformed(`${quote(at.slice(1))} of the body is not an id`)
}

/** What the gate compares. Without places nothing is: the definition says why. */
export function sourceOf(named: readonly Named[]): EnvironmentSource {
  if (named.length === 0) return { from: 'lease' }
  const values: string[] = []
  for (const { name, value } of named) {
    if (value === null) return { from: 'optional-argument-missing', argument: name }
    values.push(value)
  }
  return { from: 'argument', id: environmentId(values) }
}

/**
 * Refuses a request that also names an environment where another operation would, or by the same name
 * elsewhere, unless it is the same one: which of two counts is the server's to choose. `known`: every
 * place of the definition.
 */
export function checkMentions(
  known: readonly RestPlace[],
  named: readonly Named[],
  said: Said,
): void {
  for (const place of known) {
    const value = named.find(({ name }) => name === place.name)?.value ?? null
    for (const mention of mentionsOf(place, said)) {
      if ((mention === '' ? null : mention) === value) continue
      throw malformed(`${quote(place.name)} is named in more than one way`)
    }
  }
}

/** Values that stand where the place is looked for, or under a name that a server may take for it. */
function mentionsOf(place: RestPlace, { request, query, body }: Said): readonly string[] {
  if (place.in === 'host') return []
  const names = place.in === 'query' ? [place.name, place.at] : [place.name]
  const parameters = [...query, ...body.form].filter(([name]) =>
    names.some((one) => sameName(one, name)),
  )
  const steps = place.in === 'body' ? (pointerSteps(place.at) ?? []) : [place.name]
  const members = [...membersAt(body.json, [place.name]), ...membersAt(body.json, steps)]
  return [
    ...parameters.map(([, value]) => value),
    ...(place.in === 'header' ? valuesOf(request, place.at) : []),
    ...members.flatMap((one) =>
      typeof one === 'object' && one !== null ? [] : [String(one ?? '')],
    ),
  ]
}

/** Every value at a way that some server would take for this one. */
function membersAt(value: Json | undefined, steps: readonly string[]): readonly Json[] {
  const [step, ...rest] = steps
  if (value === undefined) return []
  if (step === undefined) return [value]
  if (!isObject(value)) return []
  return Object.entries(value)
    .filter(([key]) => sameName(key, step))
    .flatMap(([, inner]) => membersAt(inner, rest))
}
