import { type BrokerError, isBrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Caller, Context, SubjectCaller } from '../context.ts'
import { MISHAPS } from '../refusal.ts'
import { Withheld } from '../withheld.ts'
import { cut, subjectFacts } from './facts.ts'

interface Wanted {
  readonly environment: string
  readonly template?: string | undefined
}

/**
 * Does work for a caller, and puts into the audit log why it was refused, where that is a subject: who
 * asked is not told more than the error says, and whoever runs the broker is told here.
 */
export async function refusing<T>(
  context: Context,
  caller: Caller,
  wanted: Wanted,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (caller.kind === 'subject' && isBrokerError(error) && !MISHAPS.has(error.code)) {
      await note(context, caller, wanted, error)
    }
    throw error
  }
}

async function note(
  context: Context,
  { subject, address }: SubjectCaller,
  { environment, template }: Wanted,
  error: BrokerError,
): Promise<void> {
  const data: JsonObject = {
    address,
    subject: subjectFacts(subject),
    environment: cut(environment),
    template: template === undefined ? null : cut(template),
    ...reasonFacts(error),
  }
  // A replay belongs to the story of the lease that the token was used for.
  const lease = typeof data['usedFor'] === 'string' ? data['usedFor'] : null
  await context.refusals.note(address, { type: 'exchange.refused', lease, data })
}

/** Of a refusal that comes before anyone is known. */
export async function noteUnknown(
  context: Context,
  address: string,
  error: BrokerError,
): Promise<void> {
  const data = { address, ...reasonFacts(error) }
  await context.refusals.note(address, { type: 'exchange.refused', lease: null, data })
}

/** The true reason where one was withheld. */
function reasonFacts(error: BrokerError): JsonObject {
  const { cause, code, message } = error
  if (cause instanceof Withheld) return { reason: cause.reason, ...cause.facts }
  return { reason: code, message: cut(message) }
}
