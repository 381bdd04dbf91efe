import { type Approval, isOver } from '../../core/approval.ts'
import type { LeaseState } from '../../core/lease.ts'
import { BrokerError, type ErrorCode } from '../../errors.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { noApproval } from './await.ts'

/** A lease's approval is used while the lease is on its way to be minted. */
const USABLE: Readonly<Record<Approval['kind'], readonly LeaseState[]>> = {
  request: ['active'],
  lease: ['pending', 'intent'],
}

/**
 * Uses an approval up, inside the transaction that records what it was used for: of two that try,
 * one passes. Throws `approval_required` (not decided yet), `approval_denied`, `approval_lapsed`,
 * `lease_ended`, or `conflict` when it was used before or was given for something else.
 */
export async function useApproval(
  context: Context,
  writer: Writer,
  id: string,
  lease: string,
  binding: string,
): Promise<Approval> {
  const approval = await writer.approval(id)
  if (!approval) throw noApproval(id)
  if (approval.lease !== lease || approval.binding !== binding) {
    throw unusable('conflict', `approval "${id}" was given for something else`)
  }
  if (approval.state === 'approved' && isOver(approval, context.now())) throw hasLapsed(id)
  if (approval.state !== 'approved') throw whyNot(approval)
  const state = await writer.state(lease)
  if (state === undefined || !USABLE[approval.kind].includes(state)) {
    throw unusable('lease_ended', `lease "${lease}" of approval "${id}" has ended`)
  }
  const used: Approval = { ...approval, state: 'used', usedAt: context.now() }
  await writer.saveApproval(used)
  await writer.append({ type: 'approval.used', lease, data: { approval: id, binding } })
  return used
}

function whyNot({ id, state }: Approval): BrokerError {
  switch (state) {
    case 'denied':
      return unusable('approval_denied', `approval "${id}" was denied`)
    case 'lapsed':
      return hasLapsed(id)
    case 'pending':
      return unusable('approval_required', `approval "${id}" is not decided yet`)
    default:
      return unusable('conflict', `approval "${id}" was used already`)
  }
}

function hasLapsed(id: string): BrokerError {
  return unusable('approval_lapsed', `approval "${id}" has lapsed`)
}

function unusable(code: ErrorCode, message: string): BrokerError {
  return new BrokerError(code, message, {
    hint: 'an approval passes exactly one request, within its time; ask for a new one',
  })
}
