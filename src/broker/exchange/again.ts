import type { Lease } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { StoredExchange } from '../../store/store.ts'
import type { Asked } from '../asked.ts'
import type { Context } from '../context.ts'
import { type ExchangeAnswer, fromKept } from './answer.ts'
import { replayed } from './consume.ts'
import { unseal } from './seal.ts'

/**
 * A token that was used comes again. The same request with the same `Idempotency-Key` gets the same
 * answer, for as long as its lease lives; afterwards, or where the first try was interrupted, it is told
 * so (`lease_ended`). Anything else is a replay (`token_replayed`).
 */
export async function answerAgain(
  context: Context,
  token: Secret,
  consumes: NonNullable<Asked['consumes']>,
  earlier: StoredExchange,
): Promise<ExchangeAnswer> {
  const same = consumes.key === earlier.key && consumes.request === earlier.request
  if (earlier.key === null || !same) throw replayed(earlier.lease)
  const lease = await context.store.read.lease(earlier.lease)
  if (!lease) throw replayed(earlier.lease)
  const sealed = await context.store.read.sealed(lease.id, 'answer')
  if (lease.state !== 'active' || context.now() >= lease.expiresAt || sealed === undefined) {
    throw tooLate(lease)
  }
  const kept = unseal({ lease: lease.id, purpose: 'answer', key: token }, sealed)
  // Another text of the same token: whoever sends it did not send the first request.
  if (kept === null) throw replayed(lease.id)
  return fromKept(lease, kept)
}

function tooLate({ id, state, endReason, expiresAt }: Lease): BrokerError {
  const why = endReason === null ? state : endReason.replaceAll('_', ' ')
  return new BrokerError(
    'lease_ended',
    `this request was answered with lease "${id}", which is over (${why})`,
    {
      hint: 'fetch a fresh identity token and exchange it with an Idempotency-Key of its own',
      details: { lease: id, state, endReason, expiresAt: new Date(expiresAt).toISOString() },
    },
  )
}
