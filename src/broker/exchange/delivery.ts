import type { Lease } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import { newBearer } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'
import type { Minted } from '../../providers/provider.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { variablesOf } from '../issue.ts'
import type { Plan } from '../plan.ts'
import { answerOf, type ExchangeAnswer, keptOf } from './answer.ts'
import type { ExchangeRequest } from './exchange.ts'
import { seal } from './seal.ts'

/** How the credentials reach who asked: the one there is, at once; or all of them, against a handle. */
export type Delivery =
  | { readonly kind: 'bearer'; readonly variable: string }
  | { readonly kind: 'lease'; readonly handle: Secret }

/** Throws `invalid_request` where a bearer is asked for and there is not exactly one. */
export function deliveryFor(
  { random }: Context,
  { grants }: Plan,
  wanted: ExchangeRequest['wanted'],
): Delivery {
  const only = grants.length === 1 ? grants[0] : undefined
  const variable = only?.provider.bearer?.(only.target)
  if (variable !== undefined && wanted !== 'lease') return { kind: 'bearer', variable }
  if (wanted === null || wanted === 'lease') {
    return { kind: 'lease', handle: new Secret(newBearer('bkh_', random)) }
  }
  throw new BrokerError(
    'invalid_request',
    'this lease is not one bearer token: ask for urn:broker:token-type:lease',
    { hint: 'or narrow it to a grant of provider jwt with authorization_details' },
  )
}

/** What to answer with, once all is minted. */
export function answerWith(
  delivery: Delivery,
  lease: Lease,
  minted: readonly Minted[],
): ExchangeAnswer {
  if (delivery.kind === 'lease') {
    return answerOf(lease, 'lease', delivery.handle, lease.expiresAt)
  }
  const [only] = minted
  const token = only?.variables.reveal()[delivery.variable]
  if (!only || !token) throw new TypeError(`nothing was minted as ${delivery.variable}`)
  const ends = Math.min(only.expiresAt ?? lease.expiresAt, lease.expiresAt)
  return answerOf(lease, 'bearer', new Secret(token), ends)
}

export interface Kept {
  readonly answer: ExchangeAnswer
  /** The identity token whose holder may have the answer once more; null: nobody may. */
  readonly keptFor: Secret | null
  readonly delivery: Delivery
  readonly lease: Lease
  readonly minted: readonly Minted[]
}

/** In the transaction that makes the lease active: no crash leaves one without the other. */
export async function keep(
  { random }: Context,
  writer: Writer,
  { answer, keptFor, delivery, lease, minted }: Kept,
): Promise<void> {
  const { id } = lease
  if (keptFor !== null) {
    const terms = { lease: id, purpose: 'answer', key: keptFor } as const
    await writer.saveSealed(id, 'answer', seal(terms, keptOf(answer), random))
  }
  if (delivery.kind === 'bearer') return
  const variables = variablesOf(lease, minted, delivery.handle.reveal())
  const terms = { lease: id, purpose: 'variables', key: delivery.handle } as const
  const text = new Secret(JSON.stringify(variables.reveal()))
  await writer.saveSealed(id, 'variables', seal(terms, text, random))
}
