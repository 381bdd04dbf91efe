import { type Approval, type Confirm, isOpen, isOver } from '../../core/approval.ts'
import type { LeaseState } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { noApproval } from './await.ts'
import { endPending } from './pending-lease.ts'
import { checkable, type Proof, prove } from './prove.ts'

const PROOF: Readonly<Record<Confirm, Proof['kind']>> = { totp: 'code', typed: 'typed' }

/** What its lease has to be like for a yes to be worth anything. */
const WAITING: Readonly<Record<Approval['kind'], LeaseState>> = {
  request: 'active',
  lease: 'pending',
}

/**
 * A person's yes, proven by a code or by typing. Throws `not_found`; `conflict`, changing nothing,
 * for one that is decided, lapsed or of an ended lease; `denied` for a wrong or used code, or when
 * nobody is enrolled; `quota_exceeded` while approving is locked. Not to be repeated.
 */
export async function approve(
  context: Context,
  id: string,
  proof: Proof,
  by: string,
): Promise<Approval> {
  const asked = await context.store.read.approval(id)
  if (!asked) throw noApproval(id)
  refuseOtherProof(asked, proof)
  refuseDecided(context, asked, 'pending')
  const ready = await checkable(context, proof)
  const decided = await context.store.write(async (writer) => {
    const approval = await decidable(context, writer, id, 'pending')
    await refuseUnderEnded(writer, approval)
    const refusal = await prove(context, writer, ready, {
      lease: approval.lease,
      facts: { by, for: 'approve', approval: id },
      typed: approval.typed,
    })
    if (refusal) return refusal
    return record(
      context,
      writer,
      { ...approval, state: 'approved', decidedBy: by },
      {
        confirmed: approval.confirm,
      },
    )
  })
  if (decided instanceof BrokerError) throw decided
  context.approvals.tell([decided])
  return decided
}

/**
 * A person's no: to a pending one, or to an approved one that was not used yet. It needs no proof
 * and no lock stops it. A lease that waited for it ends with it. Throws `not_found`, and `conflict`
 * when it is too late. Not to be repeated.
 */
export async function deny(
  context: Context,
  id: string,
  reason: string | null,
  by: string,
): Promise<Approval> {
  const denied = await context.store.write(async (writer) => {
    const approval = await decidable(context, writer, id, 'open')
    const changed = { ...approval, state: 'denied', decidedBy: by, note: reason } as const
    const recorded = await record(context, writer, changed, { was: approval.state, note: reason })
    if (approval.kind === 'lease') {
      await endPending(context, writer, approval.lease, {
        state: 'denied',
        reason: 'denied',
        note: reason ?? `denied by ${by}`,
      })
    }
    return recorded
  })
  context.approvals.tell([denied])
  return denied
}

async function record(
  context: Context,
  writer: Writer,
  approval: Approval & { readonly state: 'approved' | 'denied' },
  facts: JsonObject,
): Promise<Approval> {
  const decided: Approval = { ...approval, decidedAt: context.now() }
  await writer.saveApproval(decided)
  await writer.append({
    type: `approval.${approval.state}`,
    lease: approval.lease,
    data: { approval: approval.id, by: approval.decidedBy, ...facts, binding: approval.binding },
  })
  return decided
}

type Wanted = 'pending' | 'open'

async function decidable(
  context: Context,
  writer: Writer,
  id: string,
  wanted: Wanted,
): Promise<Approval> {
  const approval = await writer.approval(id)
  if (!approval) throw noApproval(id)
  refuseDecided(context, approval, wanted)
  return approval
}

function refuseDecided(context: Context, approval: Approval, wanted: Wanted): void {
  const { id, state } = approval
  const over = isOpen(approval) && isOver(approval, context.now())
  const fits = wanted === 'open' ? isOpen(approval) : state === 'pending'
  if (fits && !over) return
  throw new BrokerError('conflict', `approval "${id}" ${over ? 'has lapsed' : STANDS[state]}`, {
    hint:
      state === 'used'
        ? `what it allowed has happened; broker audit show ${approval.lease} says what`
        : 'the request has to be made again; see broker approvals --all',
    details: { state: over ? 'lapsed' : state },
  })
}

const STANDS: Readonly<Record<Approval['state'], string>> = {
  pending: 'is pending',
  approved: 'is approved already',
  denied: 'was denied, and stays so',
  lapsed: 'has lapsed',
  used: 'was approved and used already',
}

function refuseOtherProof({ id, confirm }: Approval, proof: Proof): void {
  if (proof.kind === PROOF[confirm]) return
  const wanted = confirm === 'totp' ? 'a code' : 'its words to be typed'
  throw new BrokerError('invalid_request', `approval "${id}" needs ${wanted}`, {
    hint: `broker approve ${id} asks for what is needed`,
  })
}

async function refuseUnderEnded(writer: Writer, { id, lease, kind }: Approval): Promise<void> {
  if ((await writer.state(lease)) === WAITING[kind]) return
  throw new BrokerError('conflict', `the lease of approval "${id}" has ended`, {
    hint: `see broker audit show ${lease}`,
    details: { lease },
  })
}
