import type { ApprovalList } from '../api/types.ts'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import { askSecret, canAsk } from './prompts.ts'

/** Throws `approval_required` without a keyboard and a screen: codes and words come from nowhere else. */
export function requirePerson(what: string): void {
  if (canAsk()) return
  throw new BrokerError('approval_required', `${what} needs a person at a terminal`, {
    hint: 'run it in a terminal; codes are taken from no flag, file or pipe',
  })
}

/** Throws before anybody has typed a code in vain. */
export function requireApprover({ enrolled, lockedUntil }: ApprovalList['approver']): void {
  if (!enrolled) {
    throw new BrokerError('denied', 'nobody is enrolled to approve', {
      hint: 'enrol an authenticator app first: broker approve --enroll',
    })
  }
  requireUnlocked(lockedUntil)
}

export function requireUnlocked(lockedUntil: string | null): void {
  if (lockedUntil === null) return
  throw new BrokerError('quota_exceeded', `approving is locked until ${lockedUntil}`, {
    hint: 'there were too many wrong codes or words; broker deny and broker revoke still work',
    details: { lockedUntil },
  })
}

/** Six digits; spaces, which apps show between them, do not count. */
export async function askCode(message: string): Promise<string> {
  return digits(await askSecret(message))
}

function digits(typed: Secret): string {
  const code = typed.reveal().replaceAll(/\s/g, '')
  if (/^[0-9]{6}$/.test(code)) return code
  throw new BrokerError('usage', 'a code has six digits', {
    hint: 'type the code that the authenticator app shows now',
  })
}
