import type { RouteName } from '../api/routes.ts'
import type { IssuedLease, LeasePlan, LeaseRequest, LeaseView } from '../api/types.ts'
import type { Credentials } from '../ci/format.ts'
import type { RequestOptions } from '../client/route-call.ts'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'

export type Ask = <T>(route: RouteName, options?: RequestOptions) => Promise<T>

/** Nothing ends such a lease with a task, so it is short if nobody says otherwise. */
const USUAL_TTL_MS = 15 * 60_000

/**
 * A lease of the local daemon for whoever runs this command. It is acknowledged only when `deliver`
 * has handed it over whole, else revoked. Throws before anything is minted where the variables alone
 * would not do: the lease has a proxy, or a person has to approve it.
 */
export async function localToken(
  ask: Ask,
  wish: LeaseRequest,
  deliver: (credentials: Credentials) => Promise<void>,
): Promise<LeaseView> {
  const request = { ...wish, isolation: 'scrub', actor: { command: 'broker token' } } as const
  const plan = await ask<LeasePlan>('planLease', { body: request })
  requirePlain(plan)
  const ttlMs = wish.ttlMs ?? Math.min(plan.ttlMs, USUAL_TTL_MS)
  const issued = await ask<IssuedLease>('issueLease', { body: { ...request, ttlMs } })
  const { lease } = issued
  try {
    // Another policy may have been applied in between.
    if (issued.proxy !== null) throw needsProxy(lease.template.name)
    await deliver({ lease, variables: new Secret(forThePerson(issued.variables)) })
    await ask('ackLease', { params: { id: lease.id } })
    return lease
  } catch (error) {
    // Unacknowledged it ends by itself: this only makes it sooner.
    await ask('revokeLease', { params: { id: lease.id } }).catch(() => {})
    throw error
  }
}

/** A shell that had these two would act as a task from then on, and could end nothing. */
function forThePerson(variables: IssuedLease['variables']): IssuedLease['variables'] {
  const { BROKER_SOCKET: _socket, BROKER_HANDLE: _handle, ...rest } = variables
  return rest
}

function requirePlain({ template, approval, proxied }: LeasePlan): void {
  if (proxied) throw needsProxy(template.name)
  if (approval === null) return
  throw new BrokerError('approval_required', `template "${template.name}" needs an approval`, {
    hint: 'broker exec waits for it; a token is issued at once or not at all',
  })
}

function needsProxy(template: string): BrokerError {
  return new BrokerError('denied', `what template "${template}" grants goes through a proxy`, {
    hint: 'credentials alone are of no use there: run the command with broker exec',
  })
}
