import { BrokerError } from '../../errors.ts'
import { constantTimeEqual } from '../../lib/equal.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'
import {
  type Approver,
  isLocked,
  lockedError,
  readApprover,
  readSeed,
  saveApprover,
  withWrong,
} from './approver.ts'
import { isCode, stepOf } from './totp.ts'

/** What the one who decides brings along. */
export type Proof =
  | { readonly kind: 'code'; readonly code: Secret }
  | { readonly kind: 'typed'; readonly typed: string }

/** A proof that can be checked without leaving the transaction. */
export type Checkable =
  | {
      readonly kind: 'code'
      readonly code: Secret
      readonly seed: Secret
      readonly enrolledAt: number
    }
  | { readonly kind: 'typed'; readonly typed: string }

/** What the proof is for, as the log has it. */
export interface Purpose {
  readonly lease: string | null
  readonly facts: { readonly by: string; readonly for: string; readonly approval?: string }
  /** What has to be typed. Null where only a code will do. */
  readonly typed: string | null
}

/** Fetches the seed, for a code. Throws `denied` when nobody is enrolled, `invalid_request` for no code at all. */
export async function checkable(context: Context, proof: Proof): Promise<Checkable> {
  if (proof.kind === 'typed') return proof
  if (!isCode(proof.code)) {
    throw new BrokerError('invalid_request', 'a code has six digits', {
      hint: 'type the code that the authenticator app shows now',
    })
  }
  return { ...proof, ...(await readSeed(context)) }
}

/**
 * Checks a proof. Undefined: it holds, and its code is used up. Otherwise why not: **returned**, and
 * the transaction has to end well, because a throw would forget that there was a wrong one.
 */
export async function prove(
  context: Context,
  writer: Writer,
  proof: Checkable,
  purpose: Purpose,
): Promise<BrokerError | undefined> {
  const now = context.now()
  const approver = await readApprover(writer)
  const refuse = async (why: string, after: Approver, error: BrokerError) => {
    if (after !== approver) await saveApprover(writer, after)
    const data = { ...purpose.facts, why, wrong: after.wrong, locked: isLocked(after, now) }
    await writer.append({ type: 'approver.refused', lease: purpose.lease, data })
    return error
  }
  // Before anything is compared: while it is locked, no answer tells right from wrong.
  if (isLocked(approver, now)) return refuse('locked', approver, lockedError(approver))
  const wrong = (why: string, message: string, hint: string) => {
    const after = withWrong(approver, now)
    const error = new BrokerError('denied', message, { hint })
    return refuse(why, after, isLocked(after, now) ? lockedError(after) : error)
  }
  if (proof.kind === 'typed') {
    // Right words do not forgive wrong codes: they are no secret.
    if (purpose.typed !== null && constantTimeEqual(proof.typed, purpose.typed)) return undefined
    return wrong(
      'wrong words',
      'that is not what had to be typed',
      'type it exactly as it is shown',
    )
  }
  if (proof.enrolledAt !== approver.enrolledAt) return changedMeanwhile()
  const step = stepOf(proof.seed, proof.code, now)
  if (step === null) {
    return wrong('wrong code', 'the code is wrong', 'type the code that the app shows now')
  }
  if (step <= approver.usedStep) {
    const error = new BrokerError('denied', 'this code was used already', {
      hint: 'a code works once: wait for the next one',
    })
    return refuse('used code', approver, error)
  }
  await saveApprover(writer, { ...approver, usedStep: step, wrong: 0 })
  return undefined
}

function changedMeanwhile(): BrokerError {
  return new BrokerError('conflict', 'another authenticator was enrolled just now', {
    hint: 'try again with a code of the new one',
  })
}
