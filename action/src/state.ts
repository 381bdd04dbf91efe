import { appendPairs } from '../../src/ci/github-files.ts'
import type { Environment } from '../../src/client/caller.ts'
import { type Server, serverAt } from '../../src/client/server.ts'
import { Secret } from '../../src/lib/secret.ts'

/** What the step leaves for its end. */
export interface State {
  readonly server: Server
  readonly lease: string
  readonly handle: Secret
}

/** The runner keeps it from other steps, and gives it to the `post` step of this one, however the job ends. */
export function saveState(env: Environment, { server, lease, handle }: State): void {
  appendPairs(env, 'GITHUB_STATE', [
    ['server', server.url],
    // The roots themselves: the file may be gone at the end of the job.
    ['ca', server.ca?.replaceAll('\r\n', '\n') ?? ''],
    ['lease', lease],
    ['handle', handle.reveal()],
  ])
}

/** Undefined: the step never got as far as a lease. */
export function readState(env: Environment): State | undefined {
  const { STATE_server: url, STATE_ca: ca, STATE_lease: lease, STATE_handle: handle } = env
  if (!url || !lease || !handle) return undefined
  return { server: serverAt(url, ca || undefined), lease, handle: new Secret(handle) }
}
