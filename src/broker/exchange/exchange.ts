import { readDetails } from '../../core/details.ts'
import type { Lease } from '../../core/lease.ts'
import { faultPoint } from '../../lib/fault.ts'
import { newLeaseId } from '../../lib/ids.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Asked } from '../asked.ts'
import type { Context, SubjectCaller } from '../context.ts'
import { draftLease, recordIntent } from '../intent.ts'
import { askedOf, refuseWithoutReserve } from '../issue.ts'
import { mintAll, recordActive } from '../mint.ts'
import { type Plan, plan } from '../plan.ts'
import { answerAgain } from './again.ts'
import type { ExchangeAnswer } from './answer.ts'
import { consumptionOf } from './consumption.ts'
import { answerWith, type Delivery, deliveryFor, keep } from './delivery.ts'
import { inTurn } from './in-turn.ts'
import { refusing } from './refuse.ts'
import { notByExchange, refuseSessionPlan } from './suitable.ts'

export type { ExchangeAnswer } from './answer.ts'

/** One exchange (RFC 8693 §2.1), its parameters read and not yet believed. */
export interface ExchangeRequest {
  readonly environment: string
  readonly template?: string | undefined
  /** `authorization_details`, as they came. */
  readonly details?: string | undefined
  /** Null: whichever fits. */
  readonly wanted: 'access_token' | 'jwt' | 'lease' | null
  readonly ttlMs?: number | undefined
  readonly reason?: string | undefined
  readonly idempotencyKey?: string | undefined
}

/**
 * Exchanges an identity token, which is used up with it, for a lease: decide, record the intent, mint,
 * record the result. What comes back counts as received when `delivered` (a bearer) or `acknowledge` (a
 * lease) is called within 20 s; without, it is revoked. Of the same request with the same
 * `Idempotency-Key` the first answer comes again. `token` is the text that `caller` was identified by.
 */
export function exchangeToken(
  context: Context,
  caller: SubjectCaller,
  token: Secret,
  request: ExchangeRequest,
): Promise<ExchangeAnswer> {
  const consumes = consumptionOf(caller, request)
  return refusing(context, caller, request, () =>
    inTurn(context, consumes.token, async () => {
      // Before anything is decided: the rules may have changed since, and the answer has not.
      const earlier = await context.store.read.exchange(consumes.token)
      if (earlier) return answerAgain(context, token, consumes, earlier)
      const asked = await askedFor(context, caller, request, consumes)
      return answerFirst(context, asked, request.wanted, token)
    }),
  )
}

function askedFor(
  context: Context,
  caller: SubjectCaller,
  { environment, template, ttlMs, reason, details }: ExchangeRequest,
  consumes: NonNullable<Asked['consumes']>,
): Promise<Asked> {
  const wanted = details === undefined ? undefined : readDetails(details)
  const wish = { environment, template, ttlMs, reason, details: wanted }
  return askedOf(context, caller, wish, consumes)
}

async function answerFirst(
  context: Context,
  asked: Asked,
  wanted: ExchangeRequest['wanted'],
  token: Secret,
): Promise<ExchangeAnswer> {
  const decided = await planFor(context, asked)
  const delivery = deliveryFor(context, decided, wanted)
  refuseWithoutReserve(context)
  const lease = await begin(context, asked, decided, delivery)
  faultPoint('C3')
  const minted = await mintAll(context, decided, lease)
  faultPoint('C5')
  const answer = answerWith(delivery, lease, minted)
  const keptFor = asked.consumes?.key === null ? null : token
  await recordActive(context, lease, minted, (writer) =>
    keep(context, writer, { answer, keptFor, delivery, lease, minted }),
  )
  faultPoint('C6')
  return answer
}

async function planFor(context: Context, { caller, choice, request }: Asked): Promise<Plan> {
  const decided = await plan(context, caller, choice, request).catch(notByExchange)
  refuseSessionPlan(decided)
  return decided
}

async function begin(
  context: Context,
  asked: Asked,
  decided: Plan,
  delivery: Delivery,
): Promise<Lease> {
  const id = newLeaseId(context.now(), context.random)
  const draft = await draftLease(context, asked, decided, id)
  const handle = delivery.kind === 'lease' ? delivery.handle.reveal() : null
  return recordIntent(context, asked, decided, draft, { handle, session: null }, null)
}
