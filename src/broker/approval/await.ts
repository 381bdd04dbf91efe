import type { Approval } from '../../core/approval.ts'
import { BrokerError } from '../../errors.ts'
import type { Context } from '../context.ts'

/** Longer ones Node fires at once. */
const MAX_WAIT_MS = 2 ** 31 - 1

/**
 * Resolves with the approval as soon as it is not pending any more, or as it stands when `waitMs`
 * milliseconds are over or the signal fires. Throws `not_found` for an unknown one. May be repeated.
 */
export async function awaitDecision(
  context: Context,
  id: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<Approval> {
  const decision = Promise.withResolvers<Approval | null>()
  const giveUp = () => decision.resolve(null)
  // Before it is read: what is decided in between must not be missed.
  const forget = context.approvals.listen(id, (approval) => {
    if (approval.state !== 'pending') decision.resolve(approval)
  })
  const timer = setTimeout(giveUp, Math.min(waitMs, MAX_WAIT_MS))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    const found = await approvalById(context, id)
    if (found.state !== 'pending' || signal.aborted) return found
    return (await decision.promise) ?? (await approvalById(context, id))
  } finally {
    forget()
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
  }
}

/** Throws `not_found`. */
export async function approvalById(context: Context, id: string): Promise<Approval> {
  const approval = await context.store.read.approval(id)
  if (approval) return approval
  throw noApproval(id)
}

export function noApproval(id: string): BrokerError {
  return new BrokerError('not_found', `there is no approval "${id}"`, {
    hint: 'see broker approvals --all',
  })
}
