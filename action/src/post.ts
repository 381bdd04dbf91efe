import { revokeByHandle } from '../../src/ci/lease-calls.ts'
import { whyUnreachable } from '../../src/client/server-failure.ts'
import { isBrokerError } from '../../src/errors.ts'
import { say, warn } from './log.ts'
import { readState, type State } from './state.ts'

const state = readState(process.env)
if (state === undefined) await say('there is no lease to revoke')
else await revoke(state)

/**
 * Runs however the job ended. What it cannot confirm is a warning, not a failure: the work of the job is
 * done by now, and the server ends the lease in any case.
 */
async function revoke({ server, lease, handle }: State): Promise<void> {
  const later = `it ends at the latest when its time is over; an admin can end it: broker revoke ${lease} --server ${server.url}`
  try {
    const ending = await revokeByHandle(server, handle, process.env)
    if (ending === 'revoked') await say(`lease ${lease} revoked`)
    else await warn(`lease ${lease} is still being revoked: the server keeps trying`)
  } catch (error) {
    const said = whyUnreachable(server, error)
    const why = isBrokerError(said) ? said.message : 'for a reason of its own'
    await warn(`lease ${lease} could not be revoked: ${why}; ${later}`)
  }
}
