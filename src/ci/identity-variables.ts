import type { Environment } from '../client/caller.ts'
import { audiencesOf } from './token-shape.ts'

/** What the CI systems put their identity into, or what lets a job ask for one. */
const KNOWN: ReadonlySet<string> = new Set([
  'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  'ACTIONS_ID_TOKEN_REQUEST_URL',
  'ACTIONS_RUNTIME_TOKEN',
  'BROKER_ID_TOKEN',
  'BUILDKITE_AGENT_ACCESS_TOKEN',
  'CI_JOB_JWT',
  'CI_JOB_JWT_V1',
  'CI_JOB_JWT_V2',
  'CI_JOB_TOKEN',
  'CIRCLE_OIDC_TOKEN',
  'CIRCLE_OIDC_TOKEN_V2',
])

/**
 * The variables through which a job proves who it is: a program that has them can ask for credentials
 * of its own. Known names, and whatever holds an ID token, as GitLab's `id_tokens` under any name.
 */
export function identityVariables(env: Environment): readonly string[] {
  return Object.entries(env)
    .filter(([name, value]) => KNOWN.has(name) || audiencesOf(value ?? '') !== undefined)
    .map(([name]) => name)
}
