import { APPROVAL, type Approval, isOpen, isOver, newApprovalId } from '../../core/approval.ts'
import type { LeaseState } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { approvalFacts } from './facts.ts'
import { lapseOne } from './lapse.ts'
import { plainWords } from './words.ts'

/** What a person is to decide: everything but how it stands. */
export type NewApproval = Omit<
  Approval,
  'id' | 'state' | 'createdAt' | 'lapsesAt' | 'decidedAt' | 'decidedBy' | 'note' | 'usedAt'
>

/** The state in which a lease may ask. */
const ASKING: Readonly<Record<Approval['kind'], LeaseState>> = {
  request: 'active',
  lease: 'pending',
}

/**
 * The question to a person about exactly this. The newest one of the same lease and binding is
 * returned while it is pending, approved and unused, or denied (which stays so); otherwise a new one
 * is recorded. Throws `approval_required` when the lease already has as many pending as it may, and
 * `lease_ended`. May be repeated.
 */
export async function requestApproval(context: Context, wanted: NewApproval): Promise<Approval> {
  const { approval, lapsed } = await context.store.write(async (writer) => {
    const known = await writer.approvalFor(wanted.lease, wanted.binding)
    const over = known && isOpen(known) && isOver(known, context.now())
    if (known && !over && (isOpen(known) || known.state === 'denied')) {
      return { approval: known, lapsed: [] }
    }
    const ended = over ? [await lapseOne(context, writer, known, 'nobody decided in time')] : []
    return { approval: await recordApproval(context, writer, wanted), lapsed: ended }
  })
  context.approvals.tell(lapsed)
  return approval
}

/** Inserts a new one with its entry, inside a transaction. Throws as `requestApproval` does. */
export async function recordApproval(
  context: Context,
  writer: Writer,
  wanted: NewApproval,
): Promise<Approval> {
  await refuseUnderEnded(writer, wanted)
  await refuseOverCap(writer, wanted.lease)
  const now = context.now()
  const approval: Approval = {
    ...plainWords(wanted),
    id: newApprovalId(now, context.random),
    state: 'pending',
    createdAt: now,
    lapsesAt: now + APPROVAL.lapsesMs,
    decidedAt: null,
    decidedBy: null,
    note: null,
    usedAt: null,
  }
  await writer.insertApproval(approval)
  await writer.append({
    type: 'approval.requested',
    lease: approval.lease,
    data: approvalFacts(approval),
  })
  return approval
}

async function refuseUnderEnded(writer: Writer, { kind, lease }: NewApproval): Promise<void> {
  if ((await writer.state(lease)) === ASKING[kind]) return
  throw new BrokerError('lease_ended', `lease "${lease}" may not ask for anything any more`, {
    hint: 'start a new task with broker exec',
  })
}

/** Counted in the transaction that inserts. Few, so that a person reads each of them. */
async function refuseOverCap(writer: Writer, lease: string): Promise<void> {
  const most = APPROVAL.maxPendingPerLease
  if ((await writer.pendingApprovals(lease)) < most) return
  const pending = await writer.approvals({ pending: true, lease, limit: most })
  const ids = pending.map(({ id }) => id)
  throw new BrokerError(
    'approval_required',
    `this task already has ${most} requests that wait for a person: ${ids.join(', ')}`,
    {
      hint: 'a person decides those first: broker approve ID, or broker deny ID',
      details: { approvals: ids },
    },
  )
}
