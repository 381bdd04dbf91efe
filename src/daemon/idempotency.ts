import type { Caller, Context } from '../broker/context.ts'
import type { Issued } from '../broker/issue.ts'
import { revoke } from '../broker/revoke.ts'
import { BrokerError } from '../errors.ts'
import { digest } from '../lib/equal.ts'
import { canonicalJson, type Json } from '../lib/json.ts'

/**
 * One lease per `Idempotency-Key`. A repeat of the same request, whose first answer was lost before
 * anyone acknowledged it, ends the first lease and issues a new one (its credentials are not kept,
 * so they cannot be sent again); after an acknowledgement, or with another body, it is a `conflict`.
 */
export async function once(
  context: Context,
  caller: Caller,
  key: string | string[] | undefined,
  body: unknown,
  work: () => Promise<Issued>,
): Promise<Issued> {
  if (typeof key !== 'string' || key === '') return work()
  const who = caller.kind === 'operator' ? caller.principal.id : caller.lease.id
  const same = digest(canonicalJson(body as Json))
  const earlier = await context.store.read.remembered(key, who)
  if (earlier && earlier.body !== same) throw conflict('another request')
  if (earlier) {
    const lease = await context.store.read.lease(earlier.lease)
    if (lease?.deliveredAt) throw conflict(`lease "${lease.id}"`)
    if (lease) await revoke(context, lease.id, 'not_acknowledged', 'asked for again')
  }
  const issued = await work()
  await context.store.write((writer) =>
    writer.remember(key, who, same, issued.lease.id, context.now()),
  )
  return issued
}

function conflict(by: string): BrokerError {
  return new BrokerError('conflict', `this Idempotency-Key was already used by ${by}`, {
    hint: 'use a new key for a new request',
  })
}
