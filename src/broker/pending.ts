import { createHash } from 'node:crypto'
import { APPROVAL, type Approval } from '../core/approval.ts'
import type { Lease } from '../core/lease.ts'
import { type Catalogue, RISKS } from '../core/risk.ts'
import { BrokerError } from '../errors.ts'
import { canonicalJson, type JsonObject } from '../lib/json.ts'
import type { Writer } from '../store/store.ts'
import { awaitDecision } from './approval/await.ts'
import { abandonPending } from './approval/lapse.ts'
import { type NewApproval, recordApproval } from './approval/request.ts'
import type { Asked } from './asked.ts'
import type { Context } from './context.ts'
import { consume } from './exchange/consume.ts'
import { askedFacts } from './exchange/facts.ts'
import { digestsOf, type LeaseBearers } from './intent.ts'
import type { Plan } from './plan.ts'

/** Someone who can wait for a person to decide: a session, not a single request. */
export interface Waiting {
  /** Told once, when the approval is stored. */
  readonly onPending: (approval: Approval) => void
  /** Fires when the one who waits has gone. */
  readonly signal: AbortSignal
}

/**
 * Records the lease as `pending`, asks a person, and waits. Nothing is minted meanwhile. Resolves
 * when it is approved; throws `approval_denied` or `approval_lapsed`, with the lease ended so.
 */
export async function waitForApproval(
  context: Context,
  asked: Asked,
  decided: Plan,
  draft: Lease,
  secrets: LeaseBearers,
  waiting: Waiting,
): Promise<Approval> {
  const wanted = questionOf(asked, decided, draft)
  const lease: Lease = {
    ...draft,
    state: 'pending',
    expiresAt: context.now() + APPROVAL.lapsesMs,
    grants: [],
  }
  const approval = await context.store.write(async (writer) => {
    await consume(writer, asked, lease.id)
    await refuseTooMany(writer, asked, lease)
    await writer.insertLease(lease, digestsOf(secrets), null)
    const facts = askedFacts(asked, { ...lease, grants: draft.grants })
    await writer.append({ type: 'lease.pending', lease: lease.id, data: facts })
    return recordApproval(context, writer, wanted)
  })
  waiting.onPending(approval)
  const { signal } = waiting
  const answer = await awaitDecision(context, approval.id, APPROVAL.lapsesMs, signal)
  if (answer.state === 'approved' && !signal.aborted) return answer
  // Whoever asked does not wait any more: nobody should be asked to decide it.
  await abandonPending(context, lease.id, 'lapsed', 'nobody waits for it any more')
  throw notApproved(answer)
}

/** What the person agreed to: who gets what, where, how long, under which template. */
export function leaseBinding(lease: Pick<Lease, 'id' | 'environment'>, plan: Plan): string {
  const { choice, ttlMs, isolation, grants } = plan
  const bound: JsonObject = {
    lease: lease.id,
    environment: lease.environment,
    template: choice.sha256,
    ttlMs,
    isolation,
    grants: grants.map(({ name, provider, connection, target, operations, approvable }) => ({
      name,
      provider: provider.name,
      connection,
      target,
      operations: [...operations],
      approvable: [...approvable],
    })),
  }
  return createHash('sha256').update(canonicalJson(bound)).digest('hex')
}

function questionOf(asked: Asked, plan: Plan, lease: Lease): NewApproval {
  const { template, environment } = plan.choice
  const beyond = plan.grants.flatMap(({ provider, operations }) =>
    beyondRead(provider.catalogue, operations),
  )
  const more = beyond.length - MOST
  return {
    kind: 'lease',
    lease: lease.id,
    environment: environment.name,
    template: template.name,
    principal: lease.principal,
    actor: lease.actor,
    reason: asked.reason,
    grant: null,
    provider: null,
    operations: beyond.slice(0, MOST),
    summary: [
      `a lease for "${environment.name}": ${plan.grants.map(grantWords).join('; ')}`,
      ...(more > 0 ? [`${more} operations beyond read are not listed here`] : []),
    ].join('; '),
    targets: [],
    rule: plan.approval ?? 'approval: required',
    confirm: template.confirm,
    typed: environment.name,
    binding: leaseBinding(lease, plan),
  }
}

/** Enough to decide on; the rest is in the template. */
const MOST = 20

function beyondRead(
  catalogue: Catalogue,
  operations: readonly string[],
): NewApproval['operations'] {
  return operations
    .map((name) => ({ name, risk: catalogue.operations.get(name) ?? ('write' as const) }))
    .filter(({ risk }) => risk !== 'read')
}

function grantWords({ name, provider, operations }: Plan['grants'][number]): string {
  const risks = operations.map((one) => provider.catalogue.operations.get(one) ?? 'write')
  const counts = RISKS.flatMap((risk) => {
    const count = risks.filter((one) => one === risk).length
    return count > 0 ? [`${count} ${risk}`] : []
  })
  return `${name} (${provider.name}): ${counts.join(', ')}`
}

async function refuseTooMany(writer: Writer, { caller }: Asked, lease: Lease): Promise<void> {
  const waiting = await writer.pendingLeases({ principal: lease.principal.id })
  const inside =
    caller.kind === 'lease' ? await writer.pendingLeases({ parent: caller.lease.id }) : 0
  if (waiting < APPROVAL.maxPendingLeases && inside < APPROVAL.maxPendingPerLease) return
  throw new BrokerError('approval_required', 'too many leases wait for an approval already', {
    hint: 'decide them first: broker approvals',
    details: { pending: waiting },
  })
}

function notApproved({ id, state, note }: Approval): BrokerError {
  const details = { approval: id }
  if (state === 'denied') {
    const why = note === null ? '' : `: ${note}`
    return new BrokerError('approval_denied', `approval "${id}" was denied${why}`, {
      hint: 'ask the person why; a template may allow less without an approval',
      details,
    })
  }
  return new BrokerError('approval_lapsed', `nobody approved "${id}" in time`, {
    hint: 'ask again when someone can decide it: broker approvals --watch',
    details,
  })
}
