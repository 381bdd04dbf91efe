import type { Lease } from '../core/lease.ts'
import { type ErrorCode, isBrokerError } from '../errors.ts'
import { newLeaseId } from '../lib/ids.ts'
import { type Asked, beginLease } from './asked.ts'
import type { Context } from './context.ts'
import { requestFacts } from './record.ts'

/** Not a "no" to anybody: something of ours or of the provider's does not work right now. */
export const MISHAPS: ReadonlySet<ErrorCode> = new Set([
  'vault_locked',
  'vault_unavailable',
  'storage_full',
  'provider_failed',
  'provider_unavailable',
  'internal',
])

/**
 * A refusal leaves a lease row and an entry too: reviewers ask for denials first. One of a subject does
 * not: they come from anywhere and in any number, and `exchange/refuse.ts` keeps them within bounds.
 */
export async function recordRefusal(context: Context, asked: Asked, error: unknown): Promise<void> {
  if (asked.caller.kind === 'subject') return
  if (!isBrokerError(error) || MISHAPS.has(error.code)) return
  const now = context.now()
  const lease: Lease = {
    ...beginLease(asked, newLeaseId(now, context.random), now),
    state: 'denied',
    isolation: asked.request.isolation ?? 'scrub',
    expiresAt: now,
    ackDeadline: now,
    endedAt: now,
    endReason: 'denied',
    endNote: error.message,
    proxied: false,
    foreignCredentials: [],
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
