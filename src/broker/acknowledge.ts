import type { Lease } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { Writer } from '../store/store.ts'
import type { Context } from './context.ts'

export interface Receipt {
  /** Also hold the lease by a session of this daemon run. */
  readonly session: boolean
}

/**
 * The receiver has the credentials. Until this is recorded nobody may use them, and without it
 * they are revoked. May be repeated. Throws `lease_ended` when it came too late, and `conflict` while
 * they still have to be claimed.
 */
export async function acknowledge(context: Context, id: LeaseId, receipt: Receipt): Promise<Lease> {
  return context.store.write(async (writer) => {
    const lease = await writer.lease(id)
    if (lease?.state !== 'active') throw tooLate(id)
    if (receipt.session) await writer.holdSession(id, context.bootId)
    if (lease.deliveredAt !== null) return lease
    await refuseUnclaimed(writer, lease)
    const delivered: Lease = { ...lease, deliveredAt: context.now() }
    await writer.saveLease(delivered, delivered.expiresAt, lease)
    await writer.append({ type: 'lease.delivered', lease: id, data: { session: receipt.session } })
    return delivered
  })
}

/** The task's process exists. Recorded for reviewers; nothing depends on it. */
export async function recordStart(context: Context, id: LeaseId, pid: number): Promise<void> {
  await context.store.write(async (writer) => {
    const lease = await writer.lease(id)
    if (lease?.state !== 'active') return
    await writer.saveLease({ ...lease, actor: { ...lease.actor, pid } }, lease.expiresAt, lease)
    await writer.append({ type: 'lease.started', lease: id, data: { pid } })
  })
}

/** A session that reconnects to this daemon run takes its lease back. */
export async function takeBack(context: Context, id: LeaseId): Promise<Lease> {
  return context.store.write(async (writer) => {
    const lease = await writer.lease(id)
    if (lease?.state !== 'active') throw tooLate(id)
    await writer.holdSession(id, context.bootId)
    return lease
  })
}

/** `--until-ttl`: the lease outlives the session; only its TTL or a person ends it. */
export async function letGo(context: Context, id: LeaseId): Promise<void> {
  await context.store.write((writer) => writer.holdSession(id, null))
}

/** What still waits sealed for its receiver has not been received. */
async function refuseUnclaimed(writer: Writer, { id, principal }: Lease): Promise<void> {
  if (principal.kind !== 'oidc' || (await writer.sealed(id, 'variables')) === undefined) return
  throw new BrokerError('conflict', `the credentials of lease "${id}" were not claimed yet`, {
    hint: 'claim them first: POST /v1/leases/:id/credentials',
  })
}

function tooLate(id: LeaseId): BrokerError {
  return new BrokerError('lease_ended', `lease "${id}" is not active any more`, {
    hint: 'start the task again',
  })
}
