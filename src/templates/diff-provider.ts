import type { Change } from '../api/types.ts'
import type { RestDefinition } from '../core/rest/definition.ts'
import { diffOperations } from './diff-operations.ts'
import { equal } from './diff-template.ts'

type Said = readonly (readonly [Change['effect'], string])[]
type Compare<Value> = (before: Value, after: Value) => Said

/** One comparison per part: a part added to definitions does not compile until it has one. */
const PARTS: { readonly [Key in keyof RestDefinition]: Compare<RestDefinition[Key]> } = {
  hosts: (before, after) => [
    ...without(after, before).map(
      (host) => ['widens', `its credential now also goes to ${host}`] as const,
    ),
    ...without(before, after).map((host) => ['narrows', `host ${host} is gone`] as const),
  ],
  credential: () => [['widens', 'its credential is carried in another way']],
  phantom: () => [['neutral', 'the tokens of tasks look different']],
  variables: (before, after) => [
    ...without(Object.keys(after), Object.keys(before)).map(
      (name) => ['widens', `tasks now get ${name}`] as const,
    ),
    ...without(Object.keys(before), Object.keys(after)).map(
      (name) => ['narrows', `tasks no longer get ${name}`] as const,
    ),
    ...Object.keys(after)
      .filter((name) => name in before && before[name] !== after[name])
      .map((name) => ['widens', `tasks get another ${name}`] as const),
  ],
  environment: () => [['widens', 'the environment of requests is told in another way']],
  operations: diffOperations,
  check: () => [['neutral', 'credentials are tried by another request']],
}

/**
 * What a provider of one's own can do now, whoever is granted it. In doubt it widens: only the API
 * knows whether another path or parameter reaches further.
 */
export function diffProvider(
  name: string,
  before: RestDefinition | undefined,
  after: RestDefinition | undefined,
): readonly Change[] {
  const say = ([effect, words]: Said[number]): Change => {
    return { effect, message: `provider ${name}: ${words}` }
  }
  if (!after) return before ? [say(['narrows', 'is gone'])] : []
  if (!before) return [say(['widens', `is new: ${introduced(after)}`])]
  const keys = Object.keys(PARTS) as (keyof RestDefinition)[]
  return keys.flatMap((key) => diffPart(key, before, after)).map(say)
}

function diffPart<Key extends keyof RestDefinition>(
  key: Key,
  before: RestDefinition,
  after: RestDefinition,
): Said {
  if (equal(before[key], after[key])) return []
  const said = PARTS[key](before[key], after[key])
  return said.length > 0 ? said : [['neutral', `${key} is written differently`]]
}

function introduced({ hosts, operations, environment }: RestDefinition): string {
  const places = environment.places.map(({ name }) => name).join(' and ')
  const bound = places === '' ? 'not told apart by environment' : `told apart by ${places}`
  return `${operations.length} operations at ${hosts.join(', ')}, ${bound}`
}

function without(list: readonly string[], other: readonly string[]): readonly string[] {
  return list.filter((one) => !other.includes(one))
}
