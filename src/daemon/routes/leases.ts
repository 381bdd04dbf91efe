import { leaseQuery, leaseRequest, revokeRequest } from '../../api/schemas.ts'
import type { IssuedLease, LeaseList, LeasePlan, RevokeResult } from '../../api/types.ts'
import { acknowledge } from '../../broker/acknowledge.ts'
import type { Caller, Context } from '../../broker/context.ts'
import { issue, preview } from '../../broker/issue.ts'
import type { Plan } from '../../broker/plan.ts'
import { checkReason } from '../../broker/record.ts'
import { revoke } from '../../broker/revoke.ts'
import type { Lease } from '../../core/lease.ts'
import { hasEnded } from '../../core/transitions.ts'
import { BrokerError } from '../../errors.ts'
import { isLeaseId, type LeaseId } from '../../lib/ids.ts'
import { IdempotencyKeys } from '../idempotency.ts'
import type { Call, Server } from '../server.ts'
import { leaseView } from '../views.ts'

/** `socketOf`: where the caller of a request finds us again. */
export function addLeaseRoutes(
  server: Server,
  context: Context,
  socketOf: (call: Call) => string,
): void {
  const keys = new IdempotencyKeys(context)
  server.add('listLeases', async ({ caller, request }): Promise<LeaseList> => {
    const query = leaseQuery.parse(request.query)
    if (caller.kind === 'lease') return { leases: [leaseView(caller.lease)], nextCursor: null }
    const leases = await context.store.read.leases({
      live: query.state === 'live',
      environment: query.environment,
      limit: query.limit,
      before: query.cursor,
    })
    const last = leases.at(-1)
    return {
      leases: leases.map(leaseView),
      nextCursor: last && leases.length === query.limit ? last.id : null,
    }
  })

  server.add('showLease', async ({ caller, request }) =>
    leaseView(await find(context, caller, request.params)),
  )

  server.add('issueLease', async (call): Promise<IssuedLease> => {
    const { caller, request, reply } = call
    const wish = leaseRequest.parse(request.body)
    const key = request.headers['idempotency-key']
    const issued = await keys.once(caller, key, request.body, () => issue(context, caller, wish))
    reply.code(201)
    return {
      lease: leaseView(issued.lease),
      variables: {
        ...issued.variables.reveal(),
        BROKER_SOCKET: issued.place?.socket ?? socketOf(call),
      },
      proxy: issued.proxy,
      place: issued.place,
    }
  })

  server.add('planLease', async ({ caller, request }): Promise<LeasePlan> => {
    return planView(await preview(context, caller, leaseRequest.parse(request.body)))
  })

  server.add('ackLease', async ({ caller, request }) => {
    const lease = await find(context, caller, request.params, true)
    return leaseView(await acknowledge(context, lease.id, { session: false }))
  })

  server.add('revokeLease', async ({ caller, request, reply }) => {
    const lease = await find(context, caller, request.params)
    const { reason } = request.query as { reason?: string }
    const ended = await revoke(context, lease.id, 'revoked_by_operator', checkReason(reason))
    reply.code(hasEnded(ended.state) ? 200 : 202)
    return leaseView(ended)
  })

  server.add('revokeLeases', async ({ request, reply }): Promise<RevokeResult> => {
    const wish = revokeRequest.parse(request.body)
    const note = checkReason(wish.reason)
    const ids =
      'ids' in wish
        ? wish.ids.map(asId)
        : await liveIds(context, 'environment' in wish ? wish.environment : undefined)
    const leases = await Promise.all(
      ids.map((id) => revoke(context, id, 'revoked_by_operator', note)),
    )
    reply.code(leases.every((lease) => hasEnded(lease.state)) ? 200 : 202)
    return { leases: leases.map(leaseView) }
  })
}

/** A task sees its own lease and those it asked for itself; of others it does not learn that they exist. */
async function find(
  context: Context,
  caller: Caller,
  params: unknown,
  ownIssue = false,
): Promise<Lease> {
  const { id } = params as { id: string }
  const lease = await context.store.read.lease(id)
  const visible =
    caller.kind === 'operator' ||
    (caller.kind === 'lease' &&
      (lease?.id === caller.lease.id || (ownIssue && lease?.parent === caller.lease.id)))
  if (lease && visible) return lease
  throw new BrokerError('not_found', `there is no lease "${id}"`, {
    hint: 'see broker tokens --all',
  })
}

function asId(text: string): LeaseId {
  if (isLeaseId(text)) return text
  throw new BrokerError('not_found', `"${text}" is not the id of a lease`, {
    hint: 'ids look like lse_ and 26 characters; see broker tokens',
  })
}

async function liveIds(context: Context, environment: string | undefined): Promise<LeaseId[]> {
  const ids: LeaseId[] = []
  for (let before: string | undefined; ; ) {
    const page = await context.store.read.leases({ live: true, environment, limit: 1000, before })
    ids.push(...page.map((lease) => lease.id))
    before = page.at(-1)?.id
    if (before === undefined) return ids
  }
}

function planView(plan: Plan): LeasePlan {
  const { choice } = plan
  return {
    environment: choice.environment.name,
    template: { name: choice.template.name, version: choice.version, sha256: choice.sha256 },
    ttlMs: plan.ttlMs,
    isolation: plan.isolation,
    approval: plan.approval,
    proxied: plan.proxied,
    egress: choice.template.egress,
    grants: plan.grants.map(({ name, provider, connection, operations, approvable, target }) => ({
      name,
      provider: provider.name,
      connection,
      mode: provider.mode,
      capability: provider.capability,
      operations,
      approvable,
      variables: provider.variables(target),
    })),
  }
}
