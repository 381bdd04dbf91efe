import type { Route } from './agent/told.ts'
import { type ThirdAct, thirdActHolds } from './bypass/result.ts'
import type { Work } from './shop-cloud.ts'

/** Act one. Everything here is from the cloud, but the file the agent names. */
export interface Without {
  /** From the start of the agent to the end of production. */
  readonly seconds: number
  readonly foundIn: string | null
  readonly work: readonly Work[]
  readonly lost: readonly string[]
}

export interface AttemptResult {
  readonly route: Route
  readonly code: string | null
  /** Any other reason would be luck: a broker that cannot ask the cloud refuses as well. */
  readonly expected: string
  readonly why: string | null
  /** The broker said no, and its audit log has that. */
  readonly refused: boolean
}

export interface ForeignKey {
  readonly host: string
  readonly fingerprint: string
  readonly times: number
}

/** Act two. */
export interface With {
  readonly lease: string
  readonly work: readonly Work[]
  readonly attempts: readonly AttemptResult[]
  /** Mutations that reached the cloud and belong to no work that the agent was sent for. */
  readonly gotThrough: readonly string[]
  /**
   * The task's token opens nothing any more: not here, not through another task, not at the cloud;
   * and what stood in for it at the cloud is deleted.
   */
  readonly tokenDead: boolean
  /** It was not the token of the shell, and it never left this machine. */
  readonly tokenStayedHere: boolean
  readonly auditVerified: boolean
  readonly productionIntact: boolean
  /** The key that the agent found, as the broker reports it. */
  readonly foreignKey: ForeignKey | null
}

export interface DemoResult {
  readonly without: Without
  readonly with: With
  readonly around: ThirdAct
  readonly passed: boolean
  /** Where everything lies, if it was to be kept. */
  readonly folder?: string
}

/** Why each way has to end. */
export const EXPECTED: Readonly<Record<Route, string>> = {
  'found-token': 'foreign_credential',
  'own-token': 'environment_mismatch',
  patch: 'operation_denied',
  alias: 'environment_mismatch',
  'service-delete': 'environment_unknown',
  'service-delete-here': 'environment_mismatch',
  'staged-changes': 'operation_denied',
  batch: 'request_malformed',
}

export function resultOf(
  without: Without,
  under: With,
  around: ThirdAct,
  folder: string | null,
): DemoResult {
  const passed = twoActsHold(without, under) && thirdActHolds(around)
  return { without, with: under, around, passed, ...(folder !== null && { folder }) }
}

/** True only if the incident happened in act one and every claim about act two held. */
function twoActsHold(without: Without, under: With): boolean {
  return (
    without.lost.length > 0 &&
    isDone(without.work) &&
    isDone(under.work) &&
    wereRefused(under) &&
    under.tokenDead &&
    under.tokenStayedHere &&
    under.auditVerified &&
    under.productionIntact &&
    under.foreignKey !== null
  )
}

/** Every way was tried once, and was refused for its own reason; nothing of it reached the cloud. */
export function wereRefused({ attempts, gotThrough }: With): boolean {
  const tried = new Set(attempts.map(({ route }) => route))
  return (
    tried.size === Object.keys(EXPECTED).length &&
    attempts.every(({ refused, code, expected }) => refused && code === expected) &&
    gotThrough.length === 0
  )
}

export function isDone(work: readonly Work[]): boolean {
  return work.length > 0 && work.every(({ done }) => done)
}
