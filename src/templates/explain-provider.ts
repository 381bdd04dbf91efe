import { METHODS, PLACES } from '../core/rest/definition.ts'
import type { Path } from './finding.ts'
import { PROVIDER_KEYS } from './provider-schema.ts'

/** The sentences of `explain.ts` for what stands under `providers:`. */

type Kind = keyof typeof PROVIDER_KEYS

const OWNERS: Readonly<Record<Kind, string>> = {
  provider: 'a provider',
  credential: 'a credential',
  phantom: 'a phantom',
  environment: 'a place of the environment',
  operations: 'an operation',
  target: 'a target',
  check: 'a check',
}

const CHOICES: Readonly<Record<string, string>> = {
  environment: 'a place, or a list of places',
  in: `${PLACES.join(', ')} or none`,
  method: `${METHODS.join(', ')}, or a list of them`,
  query: '"any" or a list of parameters',
}

const FORMATS: Readonly<Record<string, string>> = {
  kind: 'a kind is a word in small letters, like ticket',
  name: 'a place is called by letters, digits, dashes and underscores, beginning with a letter',
  prefix: 'a prefix has letters, digits, dots, dashes, underscores and tildes, at most 40',
}

export function isOfProvider(path: Path): boolean {
  return path[0] === 'providers'
}

export function providerKeys(parent: Path): readonly string[] {
  return PROVIDER_KEYS[kindOf(parent)]
}

export function providerOwner(parent: Path): string {
  return OWNERS[kindOf(parent)]
}

/** What may stand where one of several shapes is expected. */
export function providerChoice(path: Path): string {
  const key = lastKey(path)
  return Object.hasOwn(CHOICES, key) ? (CHOICES[key] ?? '') : 'text, a number, true, false or null'
}

/** Words that a wrong one may have been meant to be. */
export function providerWords(path: Path): readonly string[] {
  const key = lastKey(path)
  if (key === 'method') return METHODS
  return key === 'in' ? [...PLACES, 'none'] : ['any']
}

export function providerFormat(path: Path): string {
  return FORMATS[lastKey(path)] ?? 'it has another form'
}

function kindOf(path: Path): Kind {
  const key = lastKey(path.slice(2))
  return Object.hasOwn(PROVIDER_KEYS, key) ? (key as Kind) : 'provider'
}

function lastKey(path: Path): string {
  return String(path.findLast((step) => typeof step === 'string') ?? '')
}
