import type { Classified, Operation, RequestFacts, Resource, Verdict } from '../../core/guard.ts'
import { decided, malformed, unknown } from '../../core/refused.ts'
import { matchPath } from '../../core/rest/path-template.ts'
import { canonicalJson, type Json } from '../../lib/json.ts'
import { type Body, inspectedBytes, readBody } from './body.ts'
import type { CompiledOperation, CompiledRest } from './compiled.ts'
import { isMet } from './conditions.ts'
import { checkMentions, readPlaces, type Said, sourceOf } from './environment.ts'
import { checkHeaders } from './headers.ts'
import { checkTaken, readParameters } from './parameters.ts'
import { readPath } from './request-path.ts'

interface Match {
  readonly operation: CompiledOperation
  readonly values: ReadonlyMap<string, string>
}

/**
 * Turns one request into every declared operation that it may be. Pure. What no template describes to
 * the letter is refused, and so is what two servers may read in two ways; where several operations
 * match, all of them are asked for.
 */
export function classify(rest: CompiledRest, request: RequestFacts): Verdict {
  return decided(() => judge(rest, request))
}

/** From the head alone: how much of the body it takes to judge the request. */
export function inspect(rest: CompiledRest, request: RequestFacts): number | null {
  try {
    const [first] = matchesOf(rest, request)
    return first === undefined ? null : inspectedBytes(first.operation.body)
  } catch {
    return null // refused by `classify`, which needs no body for that
  }
}

function judge(rest: CompiledRest, request: RequestFacts): Classified {
  if (!rest.hosts.includes(request.authority)) throw unknown('this host')
  checkHeaders(request)
  const query = readParameters(request.query)
  const matches = matchesOf(rest, request)
  const [first] = matches
  if (!first) throw unknown('this method and path')
  // Operations that share requests share the kind of body: `faultsOf` saw to that.
  const body = readBody(first.operation.body, request)
  const meant = matches.filter(({ operation }) => isMet(operation.conditions, body.json))
  if (meant.length === 0) throw unknown('what the body asks for')
  const operations = meant.map((match) => describe(rest, match, { request, query, body }))
  return {
    outcome: 'classified',
    operations: settled(operations, ({ name }) => name),
    needs: [],
    forward: body.forward,
  }
}

function matchesOf(rest: CompiledRest, { method, path }: RequestFacts): readonly Match[] {
  const segments = readPath(path)
  return rest.operations.flatMap((operation): Match[] => {
    if (!operation.method.some((one) => one === method)) return []
    const values = matchPath(operation.template, segments)
    if (values === 'inexact') throw malformed('the path is written in an unusual way')
    return values === null ? [] : [{ operation, values }]
  })
}

function describe(
  rest: CompiledRest,
  { operation, values }: Match,
  parts: { readonly request: RequestFacts; readonly query: Said['query']; readonly body: Body },
): Operation {
  const { name, risk, query, environment, target } = operation
  const said = { ...parts, path: values }
  const taken = query === 'any' ? query : [...query, ...environment.places.flatMap(queryName)]
  checkTaken(parts.query, taken, name)
  const named = readPlaces(environment.places, said)
  checkMentions(rest.places, named, said)
  const places: Resource[] = named.flatMap(({ name: kind, value }) =>
    value === null ? [] : [{ kind, id: value }],
  )
  const things = target === null ? [] : [{ kind: target.kind, id: values.get(target.id) ?? '' }]
  return {
    name,
    risk,
    resources: settled([...places, ...things], ({ kind }) => kind),
    environments: [sourceOf(named)],
  }
}

function queryName(place: { readonly in: string; readonly at: string }): readonly string[] {
  return place.in === 'query' ? [place.at] : []
}

/** Sorted, by name first, and without repetitions: equal requests are equal. */
function settled<T>(values: readonly T[], nameOf: (value: T) => string): readonly T[] {
  const byKey = new Map(values.map((one) => [`${nameOf(one)} ${canonicalJson(one as Json)}`, one]))
  return [...byKey.keys()].sort().flatMap((key) => byKey.get(key) ?? [])
}
