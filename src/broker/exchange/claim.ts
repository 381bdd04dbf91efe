import type { Lease } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import type { LeaseId } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'
import type { Context } from '../context.ts'
import { unseal } from './seal.ts'

type Variables = Secret<Readonly<Record<string, string>>>

export interface Claimed {
  readonly lease: Lease
  readonly variables: Variables
}

/**
 * Hands out the variables of a lease to who holds its handle: once. A second call throws
 * `already_claimed` and stands in the audit log as an alarm, because somebody else may have made the
 * first one. Throws `lease_ended` when it comes too late. Not to be repeated: after an answer that was
 * lost the lease is revoked unacknowledged, and the job asks anew.
 */
export async function claim(context: Context, asker: Lease, handle: Secret): Promise<Claimed> {
  const claimed = await context.store.write(async (writer): Promise<Claimed | null> => {
    const lease = await writer.lease(asker.id)
    if (lease?.state !== 'active' || context.now() >= lease.expiresAt) throw tooLate(asker.id)
    const sealed = await writer.sealed(lease.id, 'variables')
    if (sealed === undefined) return null
    const variables = open(lease.id, handle, sealed)
    await writer.dropSealed(lease.id, 'variables')
    await writer.append({ type: 'lease.claimed', lease: lease.id, data: {} })
    return { lease, variables }
  })
  if (claimed !== null) return claimed
  // By lease: who holds a handle could fill the log with alarms.
  await context.refusals.note(asker.id, {
    type: 'lease.claim_refused',
    lease: asker.id,
    data: { reason: 'already_claimed' },
  })
  throw new BrokerError(
    'already_claimed',
    `the credentials of lease "${asker.id}" were handed out already`,
    {
      hint: 'if that was not this job, revoke the lease: somebody else holds its handle',
      details: { lease: asker.id },
    },
  )
}

function open(lease: LeaseId, key: Secret, sealed: string): Variables {
  const text = unseal({ lease, purpose: 'variables', key }, sealed)
  if (text === null) {
    throw new BrokerError('denied', `this handle does not open lease "${lease}"`, {
      hint: 'send the handle that the exchange answered with',
    })
  }
  return new Secret(JSON.parse(text.reveal()) as Readonly<Record<string, string>>)
}

function tooLate(id: LeaseId): BrokerError {
  return new BrokerError('lease_ended', `lease "${id}" is not active any more`, {
    hint: 'fetch a fresh identity token and exchange it',
    details: { lease: id },
  })
}
