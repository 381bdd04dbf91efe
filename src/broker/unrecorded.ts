import type { EndReason } from '../core/lease.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { Context } from './context.ts'

interface End {
  readonly reason: EndReason
  readonly note: string | null
  /** Milliseconds since the epoch. */
  readonly triedAt: number
}

/** Of each run of the broker. What is lost with it, the next one finds out when it starts. */
const ENDS = new WeakMap<Context, Map<LeaseId, End>>()

/**
 * Leases that were to end while a full disk took no entry: their providers were asked, and the database
 * still shows them as they were. The tick tries again, at the latest when there is room.
 */
export function unrecordedEnds(context: Context): Map<LeaseId, End> {
  const known = ENDS.get(context)
  if (known) return known
  const made = new Map<LeaseId, End>()
  ENDS.set(context, made)
  return made
}
