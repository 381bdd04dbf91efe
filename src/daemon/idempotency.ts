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
export class IdempotencyKeys {
  readonly #context: Context
  readonly #running = new Map<string, Promise<unknown>>()

  constructor(context: Context) {
    this.#context = context
  }

  async once(
    caller: Caller,
    key: string | string[] | undefined,
    body: unknown,
    work: () => Promise<Issued>,
  ): Promise<Issued> {
    if (typeof key !== 'string' || key === '') return work()
    const who = caller.kind === 'lease' ? caller.lease.id : caller.principal.id
    // One after another: of two at once neither would find the other's lease.
    const place = JSON.stringify([who, key])
    for (let other = this.#running.get(place); other; other = this.#running.get(place)) {
      await other.catch(() => {})
    }
    const run = this.#take(who, key, digest(canonicalJson(body as Json)), work).finally(() =>
      this.#running.delete(place),
    )
    this.#running.set(place, run)
    return run
  }

  async #take(
    who: string,
    key: string,
    body: string,
    work: () => Promise<Issued>,
  ): Promise<Issued> {
    const { store, now } = this.#context
    const earlier = await store.read.remembered(key, who)
    if (earlier && earlier.body !== body) throw conflict('another request')
    if (earlier) {
      const lease = await store.read.lease(earlier.lease)
      if (lease?.deliveredAt) throw conflict(`lease "${lease.id}"`)
      if (lease) await revoke(this.#context, lease.id, 'not_acknowledged', 'asked for again')
    }
    const issued = await work()
    await store.write((writer) => writer.remember(key, who, body, issued.lease.id, now()))
    return issued
  }
}

function conflict(by: string): BrokerError {
  return new BrokerError('conflict', `this Idempotency-Key was already used by ${by}`, {
    hint: 'use a new key for a new request',
  })
}
