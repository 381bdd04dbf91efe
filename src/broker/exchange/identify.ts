import { BrokerError } from '../../errors.ts'
import { faultPoint } from '../../lib/fault.ts'
import type { Secret } from '../../lib/secret.ts'
import { subjectRefused } from '../admit.ts'
import type { Context, SubjectCaller } from '../context.ts'
import { Withheld } from '../withheld.ts'
import { noteUnknown } from './refuse.ts'

/** `sub` may have any length; ours are shown in lists. */
const MAX_ID = 300

/**
 * Who presents this identity token, called from `address`. Says nothing about what they may have, and
 * consumes nothing: may be repeated. Throws `subject_refused`, in one text for every reason, or
 * `issuer_unavailable`; why stands in the audit log.
 */
export async function identify(
  context: Context,
  token: Secret,
  address: string,
): Promise<SubjectCaller> {
  faultPoint('C0')
  const verification = await context.verifySubject(token)
  faultPoint('C1')
  if (verification.outcome === 'verified') {
    const { subject } = verification
    const id = String(subject.claims['sub'] ?? '')
      .slice(0, MAX_ID)
      .toWellFormed()
    return { kind: 'subject', principal: { kind: 'oidc', id }, subject, address }
  }
  const { reason, message } = verification
  const withheld = new Withheld(reason, { message })
  const error =
    verification.outcome === 'refused' ? subjectRefused(withheld) : issuerUnavailable(withheld)
  await noteUnknown(context, address, error)
  throw error
}

function issuerUnavailable(withheld: Withheld): BrokerError {
  return new BrokerError(
    'issuer_unavailable',
    'the issuer of the subject token cannot be asked right now',
    {
      hint: 'try again shortly; the audit log says what is wrong with the issuer',
      cause: withheld,
    },
  )
}
