import { TIMING } from '../core/deadlines.ts'
import type { Actor, Grant, Lease } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { digest } from '../lib/equal.ts'
import { faultPoint } from '../lib/fault.ts'
import { newBearer, newLeaseId } from '../lib/ids.ts'
import { Secret } from '../lib/secret.ts'
import type { Minted } from '../providers/provider.ts'
import { liveScopes, type Writer } from '../store/store.ts'
import { callProvider } from './call.ts'
import { type Caller, type Context, principalOf } from './context.ts'
import { type Plan, type PlannedGrant, plan } from './plan.ts'
import { type Choice, choose } from './policy.ts'
import { checkReason, requestFacts, templateOf } from './record.ts'
import { revoke } from './revoke.ts'

export interface IssueRequest {
  readonly environment: string
  readonly template?: string | undefined
  readonly ttlMs?: number | undefined
  readonly reason?: string | undefined
  readonly isolation?: Isolation | undefined
  readonly actor?: Partial<Actor> | undefined
}

export interface Issued {
  readonly lease: Lease
  /** For the child. The only place from which credentials leave. */
  readonly variables: Secret<Readonly<Record<string, string>>>
  /** Proves that a reconnecting session is the one this lease was given to. */
  readonly session: Secret
}

/** Decides a lease without recording or minting anything: `exec --dry-run`. */
export async function preview(
  context: Context,
  caller: Caller,
  request: IssueRequest,
): Promise<Plan> {
  const policy = await context.policy()
  return plan(
    context,
    caller,
    choose(policy, caller, request.environment, request.template),
    request,
  )
}

/**
 * Issues one lease: decide, record the intent, mint, record the result. The lease is `active` and
 * unacknowledged when this returns; call `acknowledge` within 20 s. On any failure whatever was
 * minted is revoked before the error is thrown. Not to be repeated: each call is a lease of its own.
 */
export async function issue(
  context: Context,
  caller: Caller,
  request: IssueRequest,
): Promise<Issued> {
  faultPoint('C0')
  const reason = checkReason(request.reason)
  const policy = await context.policy()
  const choice = choose(policy, caller, request.environment, request.template)
  const decided = await plan(context, caller, choice, request).catch(async (error: unknown) => {
    await recordRefusal(context, caller, choice, request, reason, error)
    throw error
  })
  if (!context.store.hasReserve()) throw noReserve()
  const handle = newBearer('bkh_', context.random)
  const session = newBearer('bks_', context.random)
  const lease = await recordIntent(context, caller, decided, request, reason, {
    handle,
    session,
  }).catch(async (error: unknown) => {
    await recordRefusal(context, caller, choice, request, reason, error)
    throw error
  })
  faultPoint('C3')
  const minted = await mintAll(context, decided, lease)
  faultPoint('C5')
  const active = await recordActive(context, lease, minted)
  faultPoint('C6')
  const variables = Object.assign({}, ...minted.map((one) => one.variables.reveal())) as Record<
    string,
    string
  >
  return {
    lease: active,
    variables: new Secret({
      ...variables,
      BROKER_LEASE: active.id,
      BROKER_ENV: active.environment,
      BROKER_EXPIRES_AT: new Date(active.expiresAt).toISOString(),
      BROKER_HANDLE: handle,
    }),
    session: new Secret(session),
  }
}

/** The intent: durable, with its audit entry, before any provider hears of it. */
async function recordIntent(
  context: Context,
  caller: Caller,
  decided: Plan,
  request: IssueRequest,
  reason: string | null,
  secrets: { readonly handle: string; readonly session: string },
): Promise<Lease> {
  const lease = await draft(context, caller, decided, request, reason)
  await context.store.write(async (writer) => {
    await refuseOverCap(context, writer, lease, decided)
    if (caller.kind === 'lease') await refuseUnderEnded(writer, caller.lease)
    const digests = { handleDigest: digest(secrets.handle), sessionDigest: digest(secrets.session) }
    await writer.insertLease(lease, digests, lease.issuedAt + TIMING.mintAbandonedMs)
    await writer.append({ type: 'lease.requested', lease: lease.id, data: requestFacts(lease) })
  })
  faultPoint('C2')
  return lease
}

async function draft(
  context: Context,
  caller: Caller,
  decided: Plan,
  request: IssueRequest,
  reason: string | null,
): Promise<Lease> {
  const now = context.now()
  const id = newLeaseId(now, context.random)
  // Not later than the task's own, also by the milliseconds since that was decided.
  const parentEnd = caller.kind === 'lease' ? caller.lease.expiresAt : Number.POSITIVE_INFINITY
  const expiresAt = Math.min(now + decided.ttlMs, parentEnd)
  const drafted = {
    id,
    environment: decided.choice.environment.name,
    template: templateOf(decided),
    principal: principalOf(caller),
    actor: { command: request.actor?.command ?? null, pid: request.actor?.pid ?? null },
    reason,
    isolation: decided.isolation,
    parent: caller.kind === 'lease' ? caller.lease.id : null,
    issuedAt: now,
    expiresAt,
    deliveredAt: null,
    ackDeadline: now + TIMING.mintAbandonedMs + TIMING.ackMs,
    endedAt: null,
    endReason: null,
    endNote: null,
  }
  const grants = await Promise.all(
    decided.grants.map((grant) => draftGrant(context, grant, drafted, now)),
  )
  return { ...drafted, state: 'minting', grants }
}

async function draftGrant(
  context: Context,
  grant: PlannedGrant,
  lease: Pick<Lease, 'id' | 'environment' | 'principal' | 'expiresAt'>,
  now: number,
): Promise<Grant> {
  const { provider } = grant
  const request = mintRequest(grant, lease)
  const recipe =
    grant.connection === null
      ? provider.plan(request, context.installId, null)
      : await callProvider(context, grant.connection, async (connection) =>
          provider.plan(request, context.installId, connection),
        )
  return {
    name: grant.name,
    provider: provider.name,
    connection: grant.connection,
    mode: provider.mode,
    capability: provider.capability,
    state: 'minting',
    operations: grant.operations,
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

function mintRequest(
  grant: PlannedGrant,
  lease: Pick<Lease, 'id' | 'environment' | 'principal' | 'expiresAt'>,
) {
  return {
    lease: lease.id,
    grant: grant.name,
    environment: lease.environment,
    operations: grant.operations,
    target: grant.target,
    notAfter: lease.expiresAt,
    principal: lease.principal.id,
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

async function mintAll(context: Context, decided: Plan, lease: Lease): Promise<readonly Minted[]> {
  const results = await Promise.allSettled(
    decided.grants.map((grant, index) => mintOne(context, grant, lease, index)),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (!failed)
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  await clearAfterFailure(context, lease, failed.reason)
  throw failed.reason
}

/** Whatever was minted beside the one that failed must not outlive this call. */
async function clearAfterFailure(context: Context, lease: Lease, reason: unknown): Promise<void> {
  if (isBrokerError(reason) && reason.code === 'provider_unavailable') {
    // No answer is not a "no": it may have been minted. The caller is not made to wait for an
    // upstream that hangs; the row says what to clean up, and the tick takes over if we die.
    revoke(context, lease.id, 'mint_unknown').catch((error: unknown) =>
      context.log.error('a revocation could not be recorded', error),
    )
    return
  }
  await revoke(context, lease.id, 'mint_failed')
}

function mintOne(
  context: Context,
  grant: PlannedGrant,
  lease: Lease,
  index: number,
): Promise<Minted> {
  const recipe = lease.grants[index]?.recipe ?? {}
  return callProvider(context, grant.connection, async (connection, world) => {
    const minted = await grant.provider.mint(mintRequest(grant, lease), recipe, connection, world)
    faultPoint('C4')
    return minted
  })
}

async function recordActive(
  context: Context,
  lease: Lease,
  minted: readonly Minted[],
): Promise<Lease> {
  const now = context.now()
  const active: Lease = {
    ...lease,
    state: 'active',
    ackDeadline: now + TIMING.ackMs,
    grants: lease.grants.map((grant, index) => {
      const one = minted[index]
      return one
        ? {
            ...grant,
            state: 'active',
            handle: one.handle,
            expiresAt: one.expiresAt,
            notes: one.notes,
          }
        : grant
    }),
  }
  try {
    return await context.store.write(async (writer) => {
      if ((await writer.state(lease.id)) !== 'minting') throw lateMint(lease)
      await writer.saveLease(active, Math.min(active.ackDeadline, active.expiresAt))
      await writer.append({
        type: 'lease.active',
        lease: active.id,
        data: {
          grants: active.grants.map(({ name, handle, notes }) => ({
            name,
            handle,
            notes: [...notes],
          })),
        },
      })
      return active
    })
  } catch (error) {
    // Minted but not recorded: nobody may use what nobody will end. The row may have been closed
    // already (its mint was taken for lost), so what we hold is revoked directly as well.
    await revoke(context, lease.id, 'mint_failed')
    await Promise.all(active.grants.map((grant) => discard(context, grant)))
    throw error
  }
}

async function discard(context: Context, grant: Grant): Promise<void> {
  const provider = await context.provider(grant.provider)
  await callProvider(context, grant.connection, (connection, world) =>
    provider.revoke(grant.recipe, grant.handle, connection, world),
  ).catch((error: unknown) => context.log.error('a late mint is left to the reconciler', error))
}

function lateMint(lease: Lease): BrokerError {
  return new BrokerError('lease_ended', `lease "${lease.id}" was ended while it was being minted`, {
    hint: 'ask again',
  })
}

function noReserve(): BrokerError {
  return new BrokerError(
    'storage_full',
    'the disk is full: nothing is issued that could not be ended',
    {
      hint: 'free some space where the broker keeps its state; running leases still end',
    },
  )
}

/** A refusal leaves a lease row and an entry too: reviewers ask for denials first. */
async function recordRefusal(
  context: Context,
  caller: Caller,
  choice: Choice,
  request: IssueRequest,
  reason: string | null,
  error: unknown,
): Promise<void> {
  if (!isBrokerError(error)) return
  const now = context.now()
  const lease: Lease = {
    id: newLeaseId(now, context.random),
    state: 'denied',
    environment: choice.environment.name,
    template: { name: choice.template.name, version: choice.version, sha256: choice.sha256 },
    principal: principalOf(caller),
    actor: { command: request.actor?.command ?? null, pid: request.actor?.pid ?? null },
    reason,
    isolation: request.isolation ?? 'scrub',
    parent: caller.kind === 'lease' ? caller.lease.id : null,
    issuedAt: now,
    expiresAt: now,
    deliveredAt: null,
    ackDeadline: now,
    endedAt: now,
    endReason: 'denied',
    endNote: error.message,
    grants: [],
  }
  await context.store
    .write(async (writer) => {
      await writer.insertLease(lease, { handleDigest: '', sessionDigest: null }, null)
      await writer.append({
        type: 'lease.denied',
        lease: lease.id,
        data: { ...requestFacts(lease), code: error.code, message: error.message },
      })
    })
    .catch((failure: unknown) => context.log.error('a refusal could not be recorded', failure))
}
