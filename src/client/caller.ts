import { lstatSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { BrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'
import { Secret } from '../lib/secret.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** As whom we call, and where. Inside a task that is the lease, at the socket the task was given. */
export interface Caller {
  readonly socket: string
  readonly inTask: boolean
  /** Reads the key anew each time: the daemon may have made it a moment ago. */
  bearer(): Secret
}

/**
 * Throws `unauthorized` inside a task that was given only half of what it needs: falling back to the
 * person's own key there would give the task more than its lease.
 */
export function callerOf(home: Home, env: Environment): Caller {
  const handle = env['BROKER_HANDLE']
  const socket = env['BROKER_SOCKET']
  if (!handle && !socket) {
    return {
      socket: home.socket,
      inTask: false,
      bearer: () => operatorKey(home),
    }
  }
  if (handle && !socket && env['BROKER_SERVER']) {
    throw new BrokerError('denied', 'a job can do here only what its server offers it', {
      hint: 'outside of the job it is done with --server and the operator key, or at the server itself',
    })
  }
  if (!handle || !socket) {
    throw new BrokerError(
      'unauthorized',
      `this task has no "${handle ? 'BROKER_SOCKET' : 'BROKER_HANDLE'}" in its environment`,
      {
        hint: 'inside a task keep both BROKER_SOCKET and BROKER_HANDLE; outside of one unset both',
      },
    )
  }
  const secret = new Secret(handle)
  return { socket, inTask: true, bearer: () => secret }
}

function operatorKey(home: Home): Secret {
  assertOurs(dirname(home.socket))
  try {
    return new Secret(readFileSync(home.operatorKey, 'utf8').trim())
  } catch (cause) {
    throw new BrokerError('unauthorized', `the operator key "${home.operatorKey}" cannot be read`, {
      hint: 'run as the user who owns it; if it was lost, restore it or stop the daemon and start it again',
      cause,
    })
  }
}

/**
 * The key goes only to a socket in a folder that is ours alone: in the shared temp folder a stranger
 * could listen at the name we would look for.
 */
function assertOurs(folder: string): void {
  if (process.platform === 'win32') return
  const found = lstatSync(folder, { throwIfNoEntry: false })
  const ours =
    found?.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
  if (found === undefined || ours) return
  throw new BrokerError('unauthorized', `the folder "${folder}" is open to other users`, {
    hint: 'it must be a folder of yours with mode 0700; remove it and the next command makes it anew',
  })
}
