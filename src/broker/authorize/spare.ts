import { BrokerError } from '../../errors.ts'
import type { RequestRecord } from '../../store/records.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'

/**
 * Writes what is only about requests: not into the room that is kept for ending leases. A task that
 * asks and asks on a full disk would use that up, with refusals alone. Throws `storage_full`.
 */
export async function writeSparing<T>(
  { store }: Context,
  work: (writer: Writer) => Promise<T>,
): Promise<T> {
  if (store.hasReserve()) return store.write(work)
  throw full()
}

/** `Store.record` under the same condition. */
export async function recordSparing(
  { store }: Context,
  records: readonly RequestRecord[],
): Promise<boolean> {
  if (store.hasReserve()) return store.record(records)
  throw full()
}

function full(): BrokerError {
  return new BrokerError('storage_full', 'the disk is full: what cannot be recorded does not go', {
    hint: 'free some space where the broker keeps its state',
  })
}
