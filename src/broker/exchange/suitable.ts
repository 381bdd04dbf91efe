import { BrokerError, isBrokerError } from '../../errors.ts'
import type { Plan } from '../plan.ts'

/**
 * One answer cannot hold everything: a proxy lives as long as somebody holds a session, and a person who
 * has to approve something may take minutes.
 */
export function refuseSessionPlan({ proxied, approval }: Plan): void {
  if (proxied) throw needsSession('it needs a proxy of its own')
  if (approval !== null) throw needsSession('a person has to approve it')
}

/** For `plan`: what it says of walls is about a task, and here is none. */
export function notByExchange(error: unknown): never {
  if (isBrokerError(error) && error.code === 'isolation_unavailable') {
    throw needsSession('its template wants the task kept apart from its machine')
  }
  throw error
}

function needsSession(why: string): BrokerError {
  return new BrokerError(
    'target_refused',
    `this lease cannot be had by exchange (${why}): use broker exec --server`,
    { hint: 'run the command under: broker exec --server URL --env ENVIRONMENT -- COMMAND' },
  )
}
