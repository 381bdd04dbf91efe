import type { EndReason, Lease } from '../../core/lease.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'

export interface PendingEnd {
  readonly state: 'denied' | 'lapsed'
  readonly reason: EndReason
  readonly note: string | null
}

/**
 * Ends a lease that still waits for its approval, with its entry. Nothing was minted for it, so there
 * is nothing to revoke. Returns it ended; undefined when it does not wait (any more). May be repeated.
 */
export async function endPending(
  context: Context,
  writer: Writer,
  id: string,
  end: PendingEnd,
): Promise<Lease | undefined> {
  const lease = await writer.lease(id)
  if (lease?.state !== 'pending') return undefined
  const { state, reason, note } = end
  const ended: Lease = {
    ...lease,
    state,
    endedAt: context.now(),
    endReason: reason,
    endNote: note,
  }
  await writer.saveLease(ended, null, lease)
  await writer.append({ type: `lease.${state}`, lease: lease.id, data: { reason, note } })
  return ended
}
