import { ROUTES } from '../api/routes.ts'
import type { LeaseView } from '../api/types.ts'
import type { Environment } from '../client/caller.ts'
import { errorFrom } from '../client/failure.ts'
import { callServer, type Server, type ServerAnswer } from '../client/server.ts'
import { notABroker } from '../client/server-failure.ts'
import { Secret } from '../lib/secret.ts'
import type { Exchanged } from './exchange.ts'
import { oauthFailure } from './oauth-failure.ts'
import { type Limits, type Patience, patiently } from './patience.ts'

export interface Claimed {
  readonly lease: LeaseView
  readonly variables: Secret<Readonly<Record<string, string>>>
}

/** `revoking`: the server keeps at it; a provider has not confirmed yet. */
export type Ending = 'revoked' | 'revoking'

/** Within the 20 s after which a lease that nobody acknowledged is revoked. */
const DELIVERY: Limits['budgetMs'] = 15_000
const ENDING: Limits['budgetMs'] = 30_000

/**
 * The lease's variables, which a server gives once: what may have arrived is not asked again, since the
 * answer to a second request is an alarm. Throws `already_claimed`, `lease_ended`, `daemon_unreachable`;
 * the lease is then to be revoked.
 */
export async function claim(
  server: Server,
  held: Exchanged,
  env?: Environment,
  patience?: Patience,
): Promise<Claimed> {
  const limits = { budgetMs: DELIVERY, repeat: 'unsent' } as const
  const answer = await post(server, 'claimLease', held, limits, env, patience)
  const body = answer.body as Partial<{ lease: LeaseView; variables: unknown }> | null | undefined
  const { lease, variables } = body ?? {}
  if (!lease || !isVariables(variables)) throw notABroker(server, answer.status)
  return { lease, variables: new Secret(variables) }
}

/** Says that the credentials have arrived: the lease lives on. May be repeated. */
export async function acknowledge(
  server: Server,
  held: Exchanged,
  env?: Environment,
  patience?: Patience,
): Promise<void> {
  await post(server, 'ackLease', held, { budgetMs: DELIVERY, repeat: 'always' }, env, patience)
}

/**
 * Ends the lease whose handle this is (RFC 7009), and asks again while the server cannot confirm it. May
 * be repeated: the handle of a lease that has ended counts as revoked, as an unknown one does.
 */
export async function revokeByHandle(
  server: Server,
  handle: Secret,
  env: Environment = {},
  patience?: Patience,
): Promise<Ending> {
  const { method, path } = ROUTES.oauthRevoke
  const form = new URLSearchParams({ token: handle.reveal() })
  const answer = await patiently(
    (timeoutMs) => callServer(server, { method, path, form, timeoutMs }, env),
    { budgetMs: ENDING, repeat: 'always' },
    patience,
  )
  if (answer.status === 503) return 'revoking'
  if (answer.status !== 200) throw oauthFailure(server, answer)
  return answer.headers['broker-lease-state'] === 'revoking' ? 'revoking' : 'revoked'
}

async function post(
  server: Server,
  route: 'claimLease' | 'ackLease',
  { lease, handle }: Exchanged,
  limits: Limits,
  env: Environment = {},
  patience?: Patience,
): Promise<ServerAnswer> {
  const { method, path: pattern } = ROUTES[route]
  const path = pattern.replace(':id', lease)
  const answer = await patiently(
    (timeoutMs) => callServer(server, { method, path, bearer: handle, timeoutMs }, env),
    limits,
    patience,
  )
  if (answer.status >= 200 && answer.status < 300) return answer
  throw errorFrom(answer.body) ?? notABroker(server, answer.status)
}

function isVariables(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((one) => typeof one === 'string')
  )
}
