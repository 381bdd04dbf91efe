import type { Change } from '../api/types.ts'
import type { RestOperation } from '../core/rest/definition.ts'
import { overlap, parsePath } from '../core/rest/path-template.ts'
import { RISKS } from '../core/risk.ts'
import { canonicalJson, type Json } from '../lib/json.ts'
import { equal } from './diff-template.ts'
import { printable } from './words.ts'

type Said = readonly (readonly [Change['effect'], string])[]

/** Operations as they are declared: what can be asked for at all, and how dangerous that is. */
export function diffOperations(
  before: readonly RestOperation[],
  after: readonly RestOperation[],
): Said {
  const gone = missingFrom(after, before)
  const come = missingFrom(before, after)
  // The same request under the same name: only what is said about it differs.
  const pairs = come.flatMap((is) => {
    const was = gone.find((one) => keyOf(one) === keyOf(is))
    return was ? [{ was, is }] : []
  })
  const isPaired = (one: RestOperation) => pairs.some(({ was, is }) => one === was || one === is)
  return [
    ...pairs.flatMap(({ was, is }) => changed(was, is)),
    ...come
      .filter((one) => !isPaired(one))
      .map((one) => ['widens', `${described(one)} is new (${one.risk})`] as const),
    ...gone.filter((one) => !isPaired(one)).map((one) => removed(one, after)),
  ]
}

/** What was more dangerous by its name may still be asked for under a milder one. */
function removed(one: RestOperation, after: readonly RestOperation[]): Said[number] {
  const remaining = after.find((other) => mayBeSame(one, other))
  if (!remaining) return ['narrows', `${described(one)} is gone`]
  return ['widens', `${described(one)} now counts as ${printable(remaining.name)}`]
}

function mayBeSame(one: RestOperation, other: RestOperation): boolean {
  const [a, b] = [parsePath(one.path), parsePath(other.path)]
  if (typeof a === 'string' || typeof b === 'string') return true
  return one.method.some((method) => other.method.includes(method)) && overlap(a, b)
}

function changed(was: RestOperation, is: RestOperation): Said {
  const what = described(is)
  const risks: Said =
    was.risk === is.risk
      ? []
      : [
          [
            RISKS.indexOf(is.risk) < RISKS.indexOf(was.risk) ? 'widens' : 'narrows',
            `${what} now counts as ${is.risk}, was ${was.risk}`,
          ],
        ]
  const others = (['query', 'body', 'environment', 'target'] as const).flatMap((key): Said => {
    if (equal(was[key], is[key])) return []
    const narrower = key === 'query' && isNarrower(was.query, is.query)
    return [[narrower ? 'narrows' : 'widens', `${what} has another ${key}`]]
  })
  return [...risks, ...others]
}

function isNarrower(was: RestOperation['query'], is: RestOperation['query']): boolean {
  if (is === 'any') return false
  return was === 'any' || is.every((name) => was.includes(name))
}

function keyOf({ name, method, path, when }: RestOperation): string {
  return canonicalJson({ name, method: [...method].sort(), path, when } as unknown as Json)
}

function missingFrom(
  list: readonly RestOperation[],
  wanted: readonly RestOperation[],
): readonly RestOperation[] {
  return wanted.filter((one) => !list.some((other) => equal(one, other)))
}

function described({ name, method, path, when }: RestOperation): string {
  const conditions = Object.keys(when).length > 0 ? ` with ${canonicalJson(when)}` : ''
  return `${printable(name)} (${method.join(', ')} ${printable(path)}${conditions})`
}
