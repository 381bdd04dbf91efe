import { APPROVAL } from '../../core/approval.ts'
import { BrokerError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Reader, Writer } from '../../store/store.ts'
import type { Context } from '../context.ts'

const SETTING = 'approver'
export const SEED = 'approver/totp'

/** What is kept of the one who approves, beside the seed in the vault. Instants in milliseconds. */
export interface Approver {
  /** Null: no seed was enrolled. Also tells one enrolment from another. */
  readonly enrolledAt: number | null
  /** The newest time step whose code was used; it and older ones are worth nothing. */
  readonly usedStep: number
  /** Wrong codes and words since the last right code. */
  readonly wrong: number
  readonly wrongAt: number
  /** Approving is locked until then; 0: it is not. */
  readonly lockedUntil: number
}

const NOBODY: Approver = { enrolledAt: null, usedStep: 0, wrong: 0, wrongAt: 0, lockedUntil: 0 }

export async function readApprover(reader: Reader): Promise<Approver> {
  const text = await reader.setting(SETTING)
  return text === undefined ? NOBODY : (JSON.parse(text) as Approver)
}

export async function saveApprover(writer: Writer, approver: Approver): Promise<void> {
  await writer.saveSetting(SETTING, JSON.stringify(approver))
}

export function isLocked(approver: Approver, now: number): boolean {
  return now < approver.lockedUntil
}

/** One more wrong one; at the fifth, approving is locked. Wrong ones of long ago are forgiven. */
export function withWrong(approver: Approver, now: number): Approver {
  // Never sooner than a lock would be over: whoever spaces guesses out gains nothing by it.
  const fresh = now - approver.wrongAt < APPROVAL.lockMs
  const wrong = (fresh ? approver.wrong : 0) + 1
  if (wrong < APPROVAL.wrongCodes) return { ...approver, wrong, wrongAt: now, lockedUntil: 0 }
  return { ...approver, wrong: 0, wrongAt: now, lockedUntil: now + APPROVAL.lockMs }
}

export function lockedError(approver: Approver): BrokerError {
  const until = new Date(approver.lockedUntil).toISOString()
  return new BrokerError(
    'quota_exceeded',
    `approving is locked until ${until}: too many wrong codes or words`,
    {
      hint: 'wait till then; broker deny and broker revoke work all the same',
      details: { lockedUntil: until },
    },
  )
}

export function notEnrolled(): BrokerError {
  return new BrokerError('denied', 'nobody is enrolled to approve', {
    hint: 'enrol an authenticator app first: broker approve --enroll',
  })
}

/** The seed with the enrolment that it was read for. Throws `denied` where there is none. */
export async function readSeed(
  context: Context,
): Promise<{ readonly seed: Secret; readonly enrolledAt: number }> {
  const { enrolledAt } = await readApprover(context.store.read)
  if (enrolledAt === null) throw notEnrolled()
  const seed = await context.vault.get(SEED)
  if (seed) return { seed, enrolledAt }
  throw new BrokerError('denied', 'the secret that codes are checked with is not in the vault', {
    hint: 'enrol anew: broker approve --enroll --reset',
  })
}
