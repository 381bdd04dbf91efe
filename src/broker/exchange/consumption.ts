import { digest } from '../../lib/equal.ts'
import type { Asked } from '../asked.ts'
import type { SubjectCaller } from '../context.ts'
import type { ExchangeRequest } from './exchange.ts'

/** How the use of an identity token is remembered, so that a retry of the same request is known again. */
export function consumptionOf(
  { subject }: SubjectCaller,
  request: ExchangeRequest,
): NonNullable<Asked['consumes']> {
  const { id, keepUntil } = subject.token
  const { idempotencyKey } = request
  if (idempotencyKey === undefined) return { token: id, keepUntil, key: null, request: null }
  return { token: id, keepUntil, key: digest(idempotencyKey), request: digestOf(request) }
}

function digestOf({ environment, template, details, wanted, ttlMs, reason }: ExchangeRequest) {
  const parts = [environment, template, details, wanted, ttlMs, reason].map((one) => one ?? null)
  return digest(JSON.stringify(parts))
}
