import { BrokerError } from '../errors.ts'

/** The line broke before the lease was bound; `pending`: while a person was to decide. */
export function lost(pending: boolean): BrokerError {
  return pending
    ? unreachable(
        'the daemon went away while the lease waited for approval',
        'nothing ran, and the request is void; try again, and see broker daemon logs',
      )
    : unreachable(
        'the daemon went away while it made the lease',
        'nothing ran, and what it made is revoked; try again, and see broker daemon logs',
      )
}

function unreachable(message: string, hint: string): BrokerError {
  return new BrokerError('daemon_unreachable', message, { hint })
}
