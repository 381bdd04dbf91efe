import type { Environment } from '../client/caller.ts'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import { buildkiteToken, circleToken } from './agent-identity.ts'
import { githubToken } from './github-identity.ts'
import { gitlabToken } from './gitlab-identity.ts'
import { tokenOf } from './token-file.ts'
import { tokenIn } from './token-shape.ts'

export interface SubjectOptions {
  /** What `aud` has to say: the server's public URL, unless its rules name another one. */
  readonly audience: string
  /** `--subject-token-file`; `-` is standard input. */
  readonly tokenFile?: string
  /** Read for `-` alone. */
  readonly stdin?: AsyncIterable<Uint8Array | string>
  /** Tests only: GitHub's request URL may be plain http on this machine. */
  readonly plainLoopback?: boolean
}

export interface SubjectToken {
  readonly token: Secret
  /** Where it is from, for people: a name, never the value. */
  readonly from: string
}

/**
 * Finds the identity of the job this runs in. What was named comes first (the file, then the variable
 * BROKER_ID_TOKEN), then what the CI system offers: GitHub, GitLab, Buildkite, CircleCI; the first that
 * is there is taken, and if it fails nothing else is tried. Each call may get another token of the
 * same job. Throws `unauthorized` (no identity), `usage` (no token where one was named, or several),
 * `issuer_unavailable` and `daemon_unreachable` (the CI system gives none now).
 */
export async function findSubjectToken(
  env: Environment,
  options: SubjectOptions,
): Promise<SubjectToken> {
  const { audience, tokenFile, stdin } = options
  if (tokenFile !== undefined) return tokenOf(tokenFile, stdin)
  if (env['BROKER_ID_TOKEN']) return fromVariable(env['BROKER_ID_TOKEN'])
  if (env['ACTIONS_ID_TOKEN_REQUEST_URL'] || env['GITHUB_ACTIONS'] === 'true') {
    return { token: await githubToken(env, options), from: 'GitHub Actions' }
  }
  if (env['GITLAB_CI'] === 'true') {
    const { token, name } = gitlabToken(env, audience)
    return { token, from: `variable "${name}"` }
  }
  if (env['BUILDKITE'] === 'true') return buildkiteToken(env, audience)
  if (env['CIRCLECI'] === 'true') return circleToken(env, audience)
  throw new BrokerError('unauthorized', 'this is no CI job whose identity is known', {
    hint: 'elsewhere put an identity token into BROKER_ID_TOKEN, or name a file: --subject-token-file FILE',
  })
}

function fromVariable(value: string): SubjectToken {
  const token = tokenIn(value)
  if (token !== undefined) return { token, from: 'variable "BROKER_ID_TOKEN"' }
  throw new BrokerError('usage', 'variable "BROKER_ID_TOKEN" holds no identity token', {
    hint: 'it has to hold one JWT in its compact form; unset it to let the CI system be asked',
  })
}
