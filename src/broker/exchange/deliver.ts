import { faultPoint } from '../../lib/fault.ts'
import type { LeaseId } from '../../lib/ids.ts'
import type { Context } from '../context.ts'

/**
 * The answer with the credential in it was written: who asked has it. As `acknowledge`, for the one
 * credential of a bearer answer, but returns at once and never throws; what could not be recorded is
 * revoked in time, as one that was not received.
 */
export function delivered(context: Context, lease: LeaseId): void {
  faultPoint('C7')
  record(context, lease).catch((error: unknown) =>
    context.log.error('a delivery could not be recorded', error),
  )
}

async function record(context: Context, lease: LeaseId): Promise<void> {
  await context.store.write(async (writer) => {
    // It ended in the meantime, or this is a repeated answer: nothing has changed.
    if (!(await writer.deliver(lease, context.now()))) return
    await writer.append({ type: 'lease.delivered', lease, data: { session: false } })
  })
}
