import type { Approval } from '../core/approval.ts'
import { isStuck, retryDelay, TIMING } from '../core/deadlines.ts'
import type { EndReason, Grant, Lease } from '../core/lease.ts'
import { closesByExpiry, grantHasEnded, hasEnded, revocationState } from '../core/transitions.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { faultPoint } from '../lib/fault.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { Revocation } from '../providers/provider.ts'
import type { Writer } from '../store/store.ts'
import { lapseOfLease, recordAbandoned } from './approval/lapse.ts'
import { callProvider } from './call.ts'
import type { Context } from './context.ts'
import { grantFacts } from './record.ts'
import { unrecordedEnds } from './unrecorded.ts'

/**
 * Ends a lease: records that it is being revoked, tries each provider once, records how that went,
 * and does the same for the leases asked for from inside it. Returns where it stands: ended, or
 * `revoking`/`stuck` with the next try stored. May be repeated at any time; calls for the same lease
 * share one run. Never throws for a provider's failure.
 */
export function revoke(
  context: Context,
  id: LeaseId,
  reason: EndReason,
  note: string | null = null,
): Promise<Lease> {
  const running = context.revoking.get(id)
  if (running) return running
  const run = recorded(context, id, reason, note).finally(() => context.revoking.delete(id))
  context.revoking.set(id, run)
  return run
}

/** One attempt. Where there is no room to record it, the first reason is kept for the tick, which tries again. */
async function recorded(
  context: Context,
  id: LeaseId,
  reason: EndReason,
  note: string | null,
): Promise<Lease> {
  const unrecorded = unrecordedEnds(context)
  const first = unrecorded.get(id) ?? { reason, note, triedAt: 0 }
  unrecorded.delete(id)
  try {
    return await attempt(context, id, first.reason, first.note)
  } catch (error) {
    if (isBrokerError(error) && error.code === 'storage_full') {
      unrecorded.set(id, { ...first, triedAt: context.now() })
    }
    throw error
  }
}

async function attempt(
  context: Context,
  id: LeaseId,
  reason: EndReason,
  note: string | null,
): Promise<Lease> {
  const begun = await begin(context, id, reason, note)
  context.onEnding(begun.lease)
  context.approvals.tell(begun.lapsed)
  faultPoint('C12')
  if (hasEnded(begun.lease.state)) {
    await endChildren(context, begun.children)
    return begun.lease
  }
  const [grants] = await Promise.all([
    Promise.all(begun.lease.grants.map((grant) => tryGrant(context, begun.lease, grant))),
    endChildren(context, begun.children),
  ])
  faultPoint('C13')
  const ended = await finish(context, begun.lease, grants)
  faultPoint('C14')
  return ended
}

interface Begun {
  readonly lease: Lease
  /** Live leases asked for from inside this one. */
  readonly children: readonly LeaseId[]
  /** Approvals that were still open: they pass nothing any more. */
  readonly lapsed: readonly Approval[]
}

async function begin(
  context: Context,
  id: LeaseId,
  reason: EndReason,
  note: string | null,
): Promise<Begun> {
  try {
    return await context.store.write((writer) => recordBegin(context, writer, id, reason, note))
  } catch (error) {
    const lease = await context.store.read.lease(id)
    if (!lease || !isBrokerError(error) || error.code !== 'storage_full') throw error
    // A disk that is full even after the reserve was given up must not keep access alive: end it
    // at the provider all the same, and record it when there is room.
    context.log.error('a revocation goes on unrecorded', error)
    return { lease, children: await context.store.read.liveChildren(id), lapsed: [] }
  }
}

async function recordBegin(
  context: Context,
  writer: Writer,
  id: LeaseId,
  reason: EndReason,
  note: string | null,
): Promise<Begun> {
  const lease = await writer.lease(id)
  if (!lease) {
    throw new BrokerError('not_found', `there is no lease "${id}"`, {
      hint: 'see broker tokens --all',
    })
  }
  const children = await writer.liveChildren(id)
  if (lease.state === 'pending') {
    const abandoned = await recordAbandoned(context, writer, id, reason, note)
    return { lease: abandoned.lease ?? lease, children, lapsed: abandoned.lapsed }
  }
  if (lease.state !== 'active' && lease.state !== 'minting') return { lease, children, lapsed: [] }
  // Nobody may collect any more what now dies.
  if (lease.principal.kind === 'oidc') await writer.dropSealed(id)
  const lapsed = await lapseOfLease(context, writer, lease)
  const now = context.now()
  const grants = lease.grants.map(
    (grant): Grant =>
      grantHasEnded(grant.state)
        ? grant
        : { ...grant, state: 'revoking', possiblyLiveUntil: grant.expiresAt ?? lease.expiresAt },
  )
  const revoking: Lease = { ...lease, state: 'revoking', endReason: reason, endNote: note, grants }
  const entry = { type: 'lease.revoking', lease: id, data: { reason, note } } as const
  // Our own credentials die with this very transaction: nothing is left to ask a provider.
  if (lease.state === 'active' && grants.every((grant) => grant.capability === 'phantom')) {
    const gone = grants.map(
      (grant): Grant => ({ ...grant, state: 'revoked', possiblyLiveUntil: null }),
    )
    await writer.append(entry)
    return {
      lease: await close(context, writer, { ...revoking, state: 'revoked', grants: gone }),
      children,
      lapsed,
    }
  }
  await writer.saveLease(revoking, now)
  await writer.append(entry)
  return { lease: revoking, children, lapsed }
}

async function endChildren(context: Context, children: readonly LeaseId[]): Promise<void> {
  await Promise.all(children.map((child) => revoke(context, child, 'parent_ended')))
}

/** One try at one grant. Returns how it stands then; failures are facts here, not exceptions. */
async function tryGrant(context: Context, lease: Lease, grant: Grant): Promise<Grant> {
  if (grantHasEnded(grant.state)) return grant
  // Ours alone: it died with the entry above, and nobody has to be asked, also when the provider's
  // definition has gone from broker.yaml in the meantime.
  if (grant.capability === 'phantom') {
    return { ...grant, state: 'revoked', possiblyLiveUntil: null, lastError: null }
  }
  try {
    const provider = await context.provider(grant.provider)
    const result = await callProvider(context, grant.connection, (connection, world) =>
      provider.revoke(grant.recipe, grant.handle, connection, world),
    )
    return afterAnswer(context, lease, grant, result, provider.consistencyMs)
  } catch (error) {
    return afterFailure(context, lease, grant, error)
  }
}

function afterAnswer(
  context: Context,
  lease: Lease,
  grant: Grant,
  result: Revocation,
  consistencyMs: number,
): Grant {
  const now = context.now()
  const calm = { ...grant, lastError: null, firstFailedAt: null }
  if (result.outcome === 'expires') {
    // Not revoked, and never called so: it works until then, and the lease stays live as long.
    if (now >= result.until) return { ...calm, state: 'expired', possiblyLiveUntil: null }
    return { ...calm, state: 'revoking', possiblyLiveUntil: result.until }
  }
  const settledAt = (grant.mintStartedAt ?? lease.issuedAt) + consistencyMs
  const unknown = lease.endReason === 'mint_unknown'
  if (result.outcome === 'absent' && unknown && now < settledAt) {
    // An interrupted mint may still be on its way: "not found" proves nothing yet.
    return { ...calm, state: 'revoking' }
  }
  const notes = result.outcome === 'revoked' ? [...grant.notes, ...result.notes] : grant.notes
  const neverMinted = result.outcome === 'absent' && grant.handle === null
  return { ...calm, state: neverMinted ? 'failed' : 'revoked', possiblyLiveUntil: null, notes }
}

function afterFailure(context: Context, lease: Lease, grant: Grant, error: unknown): Grant {
  const now = context.now()
  if (!isBrokerError(error)) context.log.error('a revocation failed', error)
  const until = grant.possiblyLiveUntil ?? grant.expiresAt ?? lease.expiresAt
  if (closesByExpiry(grant.capability) && now >= until) {
    return { ...grant, state: 'expired', possiblyLiveUntil: null }
  }
  const firstFailedAt = grant.firstFailedAt ?? now
  return {
    ...grant,
    state: isStuck(firstFailedAt, now) ? 'stuck' : 'revoking',
    attempts: grant.attempts + 1,
    firstFailedAt,
    possiblyLiveUntil: until,
    lastError: isBrokerError(error) ? error.message : 'internal error: see broker daemon logs',
  }
}

async function finish(context: Context, lease: Lease, grants: readonly Grant[]): Promise<Lease> {
  const tried: Lease = {
    ...lease,
    grants,
    state: revocationState(grants.map((grant) => grant.state)),
  }
  return context.store.write(async (writer) => {
    if (hasEnded(tried.state)) return close(context, writer, tried)
    await writer.saveLease(tried, nextTry(context, tried))
    await appendTrouble(writer, lease, tried)
    return tried
  })
}

async function close(context: Context, writer: Writer, lease: Lease): Promise<Lease> {
  const ended: Lease = { ...lease, endedAt: context.now() }
  await writer.saveLease(ended, null)
  await writer.append({
    type:
      ended.state === 'expired'
        ? 'lease.expired'
        : ended.state === 'failed'
          ? 'lease.failed'
          : 'lease.revoked',
    lease: ended.id,
    data: { reason: ended.endReason, note: ended.endNote, grants: grantFacts(ended) },
  })
  return ended
}

/** One entry when trouble begins and one when it becomes `stuck`: not one for every retry. */
async function appendTrouble(writer: Writer, before: Lease, after: Lease): Promise<void> {
  const data = { reason: after.endReason, grants: grantFacts(after) }
  if (after.state === 'stuck' && before.state !== 'stuck') {
    await writer.append({ type: 'lease.stuck', lease: after.id, data })
  } else if (after.grants.some((grant) => grant.attempts === 1 && grant.lastError !== null)) {
    await writer.append({ type: 'lease.retrying', lease: after.id, data })
  }
}

function nextTry(context: Context, lease: Lease): number {
  const now = context.now()
  const waits = lease.grants
    .filter((grant) => !grantHasEnded(grant.state))
    .map((grant) => waitOf(context, grant, now))
  return now + Math.min(...waits)
}

function waitOf(context: Context, grant: Grant, now: number): number {
  if (grant.lastError !== null && grant.firstFailedAt !== null) {
    const random = (context.random(2)[0] ?? 0) / 256
    return retryDelay(grant.attempts, now - grant.firstFailedAt, random)
  }
  // Waiting for something to die by itself, or for an interrupted mint to settle.
  const until = closesByExpiry(grant.capability) ? (grant.possiblyLiveUntil ?? now) : now + 1000
  return Math.max(500, Math.min(until - now, TIMING.reconcileMs))
}
