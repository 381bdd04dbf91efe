import type { Environment } from '../client/caller.ts'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import { tokenFrom } from './token-command.ts'
import { tokenIn } from './token-shape.ts'

export interface Found {
  readonly token: Secret
  /** For people: where it is from. */
  readonly from: string
}

/** Ids that are never reused, which rules name; the token has them only when asked for. */
const BUILDKITE_CLAIMS = 'organization_id,pipeline_id'

/** Asks the agent that runs this job (https://buildkite.com/docs/agent/v3/cli-oidc). */
export async function buildkiteToken(env: Environment, audience: string): Promise<Found> {
  const asked = ['oidc', 'request-token', '--audience', audience, '--claim', BUILDKITE_CLAIMS]
  const result = await tokenFrom('buildkite-agent', asked, env)
  if (result.kind === 'token') return { token: result.token, from: 'Buildkite' }
  if (result.kind === 'missing') {
    throw new BrokerError('unauthorized', '"buildkite-agent" is not on the PATH of this job', {
      hint: 'in a container: mount-buildkite-agent: true; or put a token into BROKER_ID_TOKEN before the container starts',
    })
  }
  throw new BrokerError('issuer_unavailable', `"buildkite-agent oidc" ${result.why}`, {
    hint: `see what it says: buildkite-agent oidc request-token --audience ${audience} > /dev/null`,
    cause: result.cause,
  })
}

/**
 * A token for our audience from the program of the job, where there is one
 * (https://circleci.com/docs/guides/permissions-authentication/oidc-tokens-with-custom-claims/); else the one every
 * job with a context is given, whose audience is the organisation's id.
 */
export async function circleToken(env: Environment, audience: string): Promise<Found> {
  const claims = JSON.stringify({ aud: audience })
  const result = await tokenFrom('circleci', ['run', 'oidc', 'get', '--claims', claims], env)
  if (result.kind === 'token') return { token: result.token, from: 'CircleCI' }
  const token = tokenIn(env['CIRCLE_OIDC_TOKEN_V2'] ?? '')
  if (token !== undefined) return { token, from: 'variable "CIRCLE_OIDC_TOKEN_V2"' }
  throw new BrokerError('unauthorized', 'this job has no identity token of CircleCI', {
    hint: 'add a context to the job: only jobs with one are given "CIRCLE_OIDC_TOKEN_V2"',
    cause: result.kind === 'failed' ? result.cause : undefined,
  })
}
