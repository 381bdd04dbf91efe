import { BrokerError } from '../errors.ts'

/**
 * Throws `denied` inside a task. For what the daemon is not asked about and so cannot refuse; the
 * same user can do it by other means, so this is order, not a boundary.
 */
export function refuseInTask(
  env: Readonly<Record<string, string | undefined>>,
  what: string,
): void {
  if (!env['BROKER_HANDLE'] && !env['BROKER_SOCKET']) return
  throw new BrokerError('denied', `a task cannot ${what}`, {
    hint: 'do it outside of broker exec',
  })
}
