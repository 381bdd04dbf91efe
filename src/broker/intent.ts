import type { Approval } from '../core/approval.ts'
import { TIMING } from '../core/deadlines.ts'
import type { Grant, Lease } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import { BrokerError } from '../errors.ts'
import { digest } from '../lib/equal.ts'
import { faultPoint } from '../lib/fault.ts'
import type { LeaseId } from '../lib/ids.ts'
import { type LeaseSecrets, liveScopes, type Writer } from '../store/store.ts'
import { useApproval } from './approval/use.ts'
import { type Asked, beginLease } from './asked.ts'
import { callProvider } from './call.ts'
import type { Context } from './context.ts'
import { consume } from './exchange/consume.ts'
import { askedFacts } from './exchange/facts.ts'
import { mintRequest } from './mint.ts'
import { refuseUnreachable } from './place.ts'
import type { Plan, PlannedGrant } from './plan.ts'

/**
 * The intent: durable, with its audit entry, before any provider hears of it. Of an approved lease
 * it is the pending row that goes on, and the approval is used up in the same transaction.
 */
export async function recordIntent(
  context: Context,
  asked: Asked,
  decided: Plan,
  lease: Lease,
  secrets: LeaseBearers,
  approval: Approval | null,
): Promise<Lease> {
  const { caller } = asked
  const dueAt = lease.issuedAt + TIMING.mintAbandonedMs
  await context.store.write(async (writer) => {
    // First of all: who presents a used token is told that, and nothing of the template.
    if (approval === null) await consume(writer, asked, lease.id)
    await refuseOverCap(context, writer, lease, decided)
    if (caller.kind === 'lease') await refuseUnderEnded(writer, caller.lease)
    if (approval === null) await writer.insertLease(lease, digestsOf(secrets), dueAt)
    else {
      await useApproval(context, writer, approval.id, lease.id, approval.binding)
      await writer.saveLease({ ...lease, state: 'intent', grants: [] }, dueAt)
      await writer.insertGrants(lease)
      await writer.saveLease(lease, dueAt)
    }
    await writer.append({
      type: 'lease.requested',
      lease: lease.id,
      data: askedFacts(asked, lease),
    })
  })
  faultPoint('C2')
  return lease
}

/** What a lease's holders prove themselves with. */
export interface LeaseBearers {
  /** Null: nobody holds the lease itself, only what was minted for it. */
  readonly handle: string | null
  readonly session: string | null
}

export function digestsOf({ handle, session }: LeaseBearers): LeaseSecrets {
  return {
    handleDigest: handle === null ? '' : digest(handle),
    sessionDigest: session === null ? null : digest(session),
  }
}

/** The lease as it would be minted now: every deadline counted from this moment. */
export async function draftLease(
  context: Context,
  asked: Asked,
  decided: Plan,
  id: LeaseId,
): Promise<Lease> {
  const { caller } = asked
  const now = context.now()
  // Not later than the task's own, also by the milliseconds since that was decided.
  const parentEnd = caller.kind === 'lease' ? caller.lease.expiresAt : Number.POSITIVE_INFINITY
  const drafted = {
    ...beginLease(asked, id, now),
    isolation: decided.isolation,
    expiresAt: Math.min(now + decided.ttlMs, parentEnd),
    ackDeadline: now + TIMING.mintAbandonedMs + TIMING.ackMs,
    endedAt: null,
    endReason: null,
    endNote: null,
    proxied: decided.proxied,
    foreignCredentials: [],
  }
  const grants = await Promise.all(
    decided.grants.map((grant) => draftGrant(context, grant, drafted, now, decided.walls)),
  )
  return { ...drafted, state: 'minting', grants }
}

async function draftGrant(
  context: Context,
  grant: PlannedGrant,
  lease: Pick<Lease, 'id' | 'environment' | 'principal' | 'expiresAt'>,
  now: number,
  walls: Isolation,
): Promise<Grant> {
  const { provider } = grant
  const request = mintRequest(grant, lease, walls)
  const recipe =
    grant.connection === null
      ? provider.plan(request, context.installId, null)
      : await callProvider(context, grant.connection, async (connection) => {
          refuseUnreachable(grant, connection, walls)
          return provider.plan(request, context.installId, connection)
        })
  return {
    name: grant.name,
    provider: provider.name,
    connection: grant.connection,
    mode: provider.mode,
    capability: provider.capability,
    state: 'minting',
    operations: grant.operations,
    approvable: grant.approvable,
    recipe,
    handle: null,
    mintStartedAt: now,
    expiresAt: null,
    possiblyLiveUntil: null,
    attempts: 0,
    firstFailedAt: null,
    lastError: null,
    notes: [],
    requests: { allowed: 0, denied: 0, approved: 0 },
  }
}

/** Counted in the transaction that inserts: two requests cannot both take the last place. */
async function refuseOverCap(
  context: Context,
  writer: Writer,
  lease: Lease,
  decided: Plan,
): Promise<void> {
  const { template } = decided.choice
  const caps = [context.limits.perPrincipal, template.maxLive ?? context.limits.perTemplate]
  for (const [index, scope] of liveScopes(lease).entries()) {
    const cap = caps[index] ?? 0
    if ((await writer.liveCount(scope)) < cap) continue
    const whose = index === 0 ? `"${lease.principal.id}"` : `template "${template.name}"`
    throw new BrokerError('quota_exceeded', `${whose} already has ${cap} live leases`, {
      hint: 'see broker tokens; end some with broker revoke, or raise maxLive in broker.yaml',
      details: { cap, scope },
    })
  }
}

/** The parent may have ended while the child was being decided. */
async function refuseUnderEnded(writer: Writer, parent: Lease): Promise<void> {
  if ((await writer.state(parent.id)) === 'active') return
  throw new BrokerError('lease_ended', `the task's own lease "${parent.id}" has ended`, {
    hint: 'start a new task with broker exec',
  })
}
