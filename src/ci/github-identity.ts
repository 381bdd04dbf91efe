import type { Environment } from '../client/caller.ts'
import { callServer, type ServerAnswer } from '../client/server.ts'
import { BrokerError } from '../errors.ts'
import { isLoopbackHost } from '../lib/loopback-host.ts'
import { Secret } from '../lib/secret.ts'
import { type Patience, patiently } from './patience.ts'
import { tokenIn } from './token-shape.ts'

export interface GithubTerms {
  readonly audience: string
  /** Tests only: the request URL may be plain http on this machine. */
  readonly plainLoopback?: boolean
}

const BUDGET_MS = 30_000

/**
 * A fresh identity token of this job for one audience
 * (https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token).
 * Throws `unauthorized` where the job may not have one, `issuer_unavailable` where GitHub gives none.
 */
export async function githubToken(
  env: Environment,
  terms: GithubTerms,
  patience?: Patience,
): Promise<Secret> {
  const url = env['ACTIONS_ID_TOKEN_REQUEST_URL']
  const bearer = new Secret(env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? '')
  if (!url || bearer.reveal() === '') throw notAllowed()
  const { origin, path } = addressOf(url, terms)
  const answer = await patiently(
    (timeoutMs) =>
      callServer({ url: origin }, { method: 'GET', path, bearer, timeoutMs }, env).catch(rethrow),
    { budgetMs: BUDGET_MS, repeat: 'always' },
    patience,
  )
  if (answer.status !== 200) throw noToken(`it answered ${answer.status}`)
  return valueIn(answer)
}

function addressOf(text: string, { audience, plainLoopback = false }: GithubTerms) {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = plainLoopback && url?.protocol === 'http:' && isLoopbackHost(url.hostname)
  if (!url || !(url.protocol === 'https:' || plain)) {
    throw new BrokerError(
      'unauthorized',
      '"ACTIONS_ID_TOKEN_REQUEST_URL" is not an https address',
      {
        hint: 'the runner sets it: see that nothing in the job sets it anew',
      },
    )
  }
  url.searchParams.set('audience', audience)
  return { origin: url.origin, path: url.pathname + url.search }
}

function valueIn({ body }: ServerAnswer): Secret {
  const value = typeof body === 'object' && body !== null && 'value' in body ? body.value : ''
  const token = typeof value === 'string' ? tokenIn(value) : undefined
  if (token === undefined) throw noToken('its answer holds none')
  return token
}

/** In words about GitHub; the code and the cause stay, since they say whether asking again may help. */
function rethrow(error: unknown): never {
  const cause = error instanceof Error ? error.cause : undefined
  throw new BrokerError(
    'daemon_unreachable',
    'no answer from GitHub to the request for an identity token',
    {
      hint: 'see https://www.githubstatus.com, and the proxy variables of the runner',
      cause,
    },
  )
}

function noToken(why: string): BrokerError {
  return new BrokerError('issuer_unavailable', `GitHub gave this job no identity token: ${why}`, {
    hint: 'run the job again; it must have "permissions: id-token: write"',
  })
}

function notAllowed(): BrokerError {
  return new BrokerError('unauthorized', 'this job may not ask GitHub for an identity token', {
    hint: 'give it "permissions: id-token: write" (reusable workflows need it at the caller too); runs of pull requests from forks never get it',
  })
}
