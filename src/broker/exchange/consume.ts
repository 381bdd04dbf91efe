import { BrokerError } from '../../errors.ts'
import type { LeaseId } from '../../lib/ids.ts'
import type { Writer } from '../../store/store.ts'
import type { Asked } from '../asked.ts'
import { Withheld } from '../withheld.ts'

/**
 * Uses up the identity token that a request came with, in the transaction that records the lease: no
 * crash can leave the one without the other. Throws `token_replayed`.
 */
export async function consume(writer: Writer, { consumes }: Asked, lease: LeaseId): Promise<void> {
  if (consumes === null || (await writer.consumeToken({ ...consumes, lease }))) return
  throw replayed(null)
}

/** `first`: the lease that it was used for, where that is known. */
export function replayed(first: LeaseId | null): BrokerError {
  return new BrokerError('token_replayed', 'the subject token was used already', {
    hint: 'fetch a fresh identity token for each exchange; a retry repeats its Idempotency-Key',
    cause: new Withheld('token_replayed', first === null ? {} : { usedFor: first }),
  })
}
