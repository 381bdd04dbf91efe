import { BrokerError } from '../errors.ts'
import type { FarEnd } from './far-end.ts'

/** The line broke before the lease was bound; `pending`: while a person was to decide. */
export function lost({ name, logs }: Pick<FarEnd, 'name' | 'logs'>, pending: boolean): BrokerError {
  return pending
    ? unreachable(
        `${name} went away while the lease waited for approval`,
        `nothing ran, and the request is void; try again, and ${logs}`,
      )
    : unreachable(
        `${name} went away while it made the lease`,
        `nothing ran, and what it made is revoked; try again, and ${logs}`,
      )
}

function unreachable(message: string, hint: string): BrokerError {
  return new BrokerError('daemon_unreachable', message, { hint })
}
