import { isBrokerError } from '../../errors.ts'
import type { Log } from '../context.ts'
import { type Denial, Denied } from './denial.ts'

/** What to tell of whatever was thrown. The text of what nobody foresaw goes to the log alone. */
export function denialOf(error: unknown, log: Log): Denial {
  if (error instanceof Denied) return error.denial
  if (isBrokerError(error)) {
    const upstream = error.code === 'provider_unavailable' || error.code === 'provider_failed'
    return {
      code: upstream ? 'upstream_failed' : (CODES[error.code] ?? 'operation_denied'),
      detail: error.message,
      next: error.hint,
    }
  }
  log.error('a request could not be judged', error)
  return {
    code: 'operation_denied',
    detail: 'the broker could not decide',
    next: 'try again; if it stays, ask the person who runs the broker',
  }
}

const CODES: Readonly<Record<string, Denial['code']>> = {
  lease_ended: 'lease_ended',
  // What was approved is not what this would be by now, or another one has used it up.
  conflict: 'approval_required',
  approval_denied: 'approval_denied',
  approval_required: 'approval_required',
  approval_lapsed: 'approval_required',
}
