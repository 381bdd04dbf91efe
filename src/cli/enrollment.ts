import type { ApprovalList, Enrollment } from '../api/types.ts'
import { RESET_SENTENCE } from '../core/approval.ts'
import { askCode, requireUnlocked } from './approver.ts'
import { askText } from './prompts.ts'
import { qrLines } from './qr.ts'
import { type Look, paint, remark, writeAside } from './terminal.ts'

const OPEN = '\u001b[?1049h\u001b[H' // the other screen: the secret does not stay in the scrollback
const CLOSE = '\u001b[?1049l'

interface Enrolling {
  readonly approver: ApprovalList['approver']
  readonly reset: boolean
  readonly begin: (body: object) => Promise<Enrollment>
  readonly confirm: (code: string) => Promise<ApprovalList['approver']>
}

/** Asks what entitles, shows the secret, and takes a code as the proof that the app has it. */
export async function enroll(
  { approver, reset, begin, confirm }: Enrolling,
  look: Look,
): Promise<ApprovalList['approver']> {
  const offered = await begin(await entitlement(approver, reset))
  const code = await shown(offered, look, () => askCode('code that the app shows:'))
  return confirm(code)
}

async function entitlement(approver: ApprovalList['approver'], reset: boolean): Promise<object> {
  if (!approver.enrolled) return {}
  requireUnlocked(approver.lockedUntil)
  if (!reset) return { code: await askCode('code of the authenticator in force:') }
  remark([
    'the authenticator in force loses its power over approvals; the audit log will say so',
    `to go on, type: ${RESET_SENTENCE}`,
  ])
  return { reset: true, typed: await askText('sentence:') }
}

async function shown<T>(offered: Enrollment, look: Look, ask: () => Promise<T>): Promise<T> {
  const lines = [
    paint(look, 'strong', 'scan this with an authenticator app'),
    ...(await qrLines(offered.uri, look)),
    `or type the key: ${paint(look, 'strong', grouped(offered.secret))} (time based, 6 digits)`,
  ]
  writeAside(OPEN)
  try {
    remark(lines)
    return await ask()
  } finally {
    writeAside(CLOSE)
  }
}

function grouped(secret: string): string {
  return (
    secret
      .replaceAll(/[^A-Z2-7]/g, '')
      .match(/.{1,4}/g)
      ?.join(' ') ?? ''
  )
}
