import { RISKS, type Risk } from '../../../core/risk.ts'
import { NEWER, withNewer } from './newer.ts'
import operations from './operations.json' with { type: 'json' }
import type { OperationKind } from './shapes.ts'

/** One place among an operation's arguments where an id stands. */
export interface Place {
  /** What the id names: "volume". */
  readonly kind: string
  /** The way to it: ["input", "environmentId"]. */
  readonly path: readonly string[]
  /**
   * `argument`: it is the environment. `environment`: all it consists of has to lie there.
   * `project`: it has to belong to the project. `none`: it says nothing about the environment.
   *
   * `serviceDelete`, `serviceInstanceUpdate` and `serviceCreate` have an environment and `environment`
   * beside it: by the schema's descriptions of these arguments the named one confines them only if it
   * is a fork, and else they reach all that are no forks. No field is documented to say what a fork is
   * (`sourceEnvironment` tells what was copied, `isEphemeral` what goes by itself), so none is taken
   * for one: the service, or the project of a new one, has to lie wholly in the environment.
   */
  readonly match: 'argument' | 'environment' | 'project' | 'none'
  /** Left out, the operation would reach further than with it. */
  readonly widensIfMissing: boolean
}

/** What the catalogue knows of one root field. */
export interface OperationFacts {
  readonly risk: Risk
  /** About the lease or the account rather than an environment; null where the places decide. */
  readonly about: 'lease' | 'account' | null
  readonly places: readonly Place[]
}

const PLACE = /^(\w+)([*-])?(\?)?:([\w.]+)$/
const MATCHES = { '*': 'environment', '-': 'none' } as const

const lines = {
  query: withNewer(operations.query, NEWER.operations.query),
  mutation: withNewer(operations.mutation, NEWER.operations.mutation),
  subscription: withNewer(operations.subscription, NEWER.operations.subscription),
}
const known = {
  query: new Map<string, OperationFacts>(),
  mutation: new Map<string, OperationFacts>(),
  subscription: new Map<string, OperationFacts>(),
}

/** Facts about a root field; undefined: unknown, so `admin`. */
export function operationFacts(kind: OperationKind, name: string): OperationFacts | undefined {
  const found = known[kind].get(name)
  if (found) return found
  const line = lines[kind].get(name)
  if (line === undefined) return undefined
  const facts = readFacts(line)
  known[kind].set(name, facts)
  return facts
}

/** Every root field of one kind. */
export function operationNames(kind: OperationKind): Iterable<string> {
  return lines[kind].keys()
}

function readFacts(line: string): OperationFacts {
  const [risk, ...rest] = line.split(' ')
  const [first] = rest
  const about = first === 'lease' || first === 'account' ? first : null
  return { risk: readRisk(risk), about, places: (about ? rest.slice(1) : rest).map(readPlace) }
}

function readRisk(word: string | undefined): Risk {
  return RISKS.find((risk) => risk === word) ?? 'admin'
}

function readPlace(word: string): Place {
  const [, kind = '', mark, optional, path = ''] = PLACE.exec(word) ?? []
  const match = mark === '*' || mark === '-' ? MATCHES[mark] : 'project'
  return {
    kind,
    path: path.split('.'),
    match: kind === 'environment' ? 'argument' : match,
    widensIfMissing: optional === '?',
  }
}
