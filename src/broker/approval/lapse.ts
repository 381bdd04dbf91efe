import { APPROVAL, type Approval, isOpen } from '../../core/approval.ts'
import type { EndReason, Lease } from '../../core/lease.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { endPending } from './pending-lease.ts'

const BATCH = 200

/**
 * Ends every approval whose time is over, and with it the lease that waited for it; tells those who
 * wait. Called every tick; returns how many. Costs one look-up by index when there are none.
 */
export async function lapseApprovals(context: Context): Promise<number> {
  let count = 0
  for (;;) {
    const over = await context.store.read.lapsedApprovals(context.now(), BATCH)
    if (over.length === 0) return count
    const lapsed = await context.store.write(async (writer) => {
      const now = context.now()
      const still = await writer.lapsedApprovals(now, BATCH)
      return lapseAll(context, writer, still, 'nobody decided in time')
    })
    context.approvals.tell(lapsed)
    count += lapsed.length
    if (over.length < BATCH) return count
  }
}

/**
 * What is still open of a lease that ends: it can pass nothing any more. Inside the transaction that
 * ends it; when that is durable, hand what this returns to `context.approvals.tell`.
 */
export async function lapseOfLease(
  context: Context,
  writer: Writer,
  lease: Lease,
): Promise<readonly Approval[]> {
  // Only requests at a proxy ask while a lease lives, so most leases are done here.
  if (!lease.proxied && lease.state !== 'pending') return []
  const open: Approval[] = []
  const oldest = context.now() - APPROVAL.lapsesMs
  for (let before: string | undefined; ; ) {
    const page = await writer.approvals({ pending: false, lease: lease.id, limit: BATCH, before })
    open.push(...page.filter(isOpen))
    const last = page.at(-1)
    if (!last || last.createdAt < oldest) break
    before = last.id
  }
  return lapseAll(context, writer, open, 'its lease has ended')
}

/**
 * A lease that waits, and whoever asked for it is gone or a person ended it: ends it with its
 * approvals. Returns it ended; undefined when it did not wait (any more). May be repeated.
 */
export async function abandonPending(
  context: Context,
  id: string,
  reason: EndReason,
  note: string | null,
): Promise<Lease | undefined> {
  const { lease, lapsed } = await context.store.write((writer) =>
    recordAbandoned(context, writer, id, reason, note),
  )
  context.approvals.tell(lapsed)
  return lease
}

/** `abandonPending` inside a transaction; `lapsed` is for `context.approvals.tell` when it is durable. */
export async function recordAbandoned(
  context: Context,
  writer: Writer,
  id: string,
  reason: EndReason,
  note: string | null,
): Promise<{ readonly lease: Lease | undefined; readonly lapsed: readonly Approval[] }> {
  const waiting = await writer.lease(id)
  if (waiting?.state !== 'pending') return { lease: undefined, lapsed: [] }
  // First, or ending its approval would end the lease for that reason instead of the real one.
  const lease = await endPending(context, writer, id, { state: 'lapsed', reason, note })
  return { lease, lapsed: await lapseOfLease(context, writer, waiting) }
}

async function lapseAll(
  context: Context,
  writer: Writer,
  open: readonly Approval[],
  why: string,
): Promise<readonly Approval[]> {
  const lapsed: Approval[] = []
  for (const approval of open) lapsed.push(await lapseOne(context, writer, approval, why))
  return lapsed
}

export async function lapseOne(
  context: Context,
  writer: Writer,
  approval: Approval,
  why: string,
): Promise<Approval> {
  const lapsed: Approval = { ...approval, state: 'lapsed' }
  await writer.saveApproval(lapsed)
  await writer.append({
    type: 'approval.lapsed',
    lease: approval.lease,
    data: { approval: approval.id, was: approval.state, why },
  })
  if (approval.kind === 'lease') {
    await endPending(context, writer, approval.lease, {
      state: 'lapsed',
      reason: 'lapsed',
      note: why,
    })
  }
  return lapsed
}
