import type { JsonObject } from '../../lib/json.ts'
import { claimOf, textOf } from './claims.ts'

/** What a person sees of the run a lease belongs to. Null: the token does not say. */
export interface CiRun {
  readonly repository: string | null
  readonly ref: string | null
  readonly workflow: string | null
  readonly run: string | null
}

/** How a CI system names one job of one run, best known by claims that all have to be there. */
interface RunClaims {
  readonly ids: readonly string[]
  /** Told apart by this as well, where the issuer gives it. */
  readonly job: readonly string[]
  readonly shown: Readonly<Record<keyof CiRun, string>>
}

const KINDS: readonly RunClaims[] = [
  {
    ids: ['repository_id', 'run_id', 'run_attempt'],
    job: ['check_run_id'],
    shown: { repository: 'repository', ref: 'ref', workflow: 'workflow_ref', run: 'run_id' },
  },
  {
    ids: ['project_id', 'pipeline_id', 'job_id'],
    job: [],
    shown: {
      repository: 'project_path',
      ref: 'ref',
      workflow: 'ci_config_ref_uri',
      run: 'pipeline_id',
    },
  },
  {
    ids: ['organization_slug', 'pipeline_slug', 'build_number', 'job_id'],
    job: [],
    shown: {
      repository: 'pipeline_slug',
      ref: 'build_branch',
      workflow: 'step_key',
      run: 'build_number',
    },
  },
]

const CIRCLECI = {
  repository: 'oidc.circleci.com/vcs-origin',
  ref: 'oidc.circleci.com/vcs-ref',
  workflow: 'oidc.circleci.com/project-id',
  run: 'oidc.circleci.com/job-id',
} as const

/**
 * The same text for every token of one job in one attempt of one run, and for no other: with the
 * template's name it is the key of "one live lease per run, attempt, job and template". Null where the
 * issuer does not name the run (CircleCI, people): there only the token itself is used once. Matrix
 * jobs of an installation of GitHub that gives no `check_run_id` share one key.
 */
export function runIdentity(claims: JsonObject): string | null {
  const iss = textOf(claims, 'iss')
  const kind = kindOf(claims)
  if (iss === null || !kind) return null
  const ids = [...kind.ids, ...kind.job].map((name) => idOf(claims, name))
  return JSON.stringify([iss, ...ids])
}

/** For lists of leases; as the issuer wrote it, so escape it before a terminal sees it. */
export function describeRun(claims: JsonObject): CiRun {
  const shown = kindOf(claims)?.shown ?? CIRCLECI
  return {
    repository: idOf(claims, shown.repository),
    ref: idOf(claims, shown.ref),
    workflow: idOf(claims, shown.workflow),
    run: idOf(claims, shown.run),
  }
}

function kindOf(claims: JsonObject): RunClaims | undefined {
  return KINDS.find(({ ids }) => ids.every((name) => idOf(claims, name) !== null))
}

function idOf(claims: JsonObject, name: string): string | null {
  const value = claimOf(claims, name)
  return Number.isSafeInteger(value) ? String(value) : textOf(claims, name)
}
