import { type Server, serverAt } from '../client/server.ts'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import { type KeySource, namesKey, operatorKeyFrom } from './operator-key.ts'
import { rootsFrom } from './server-roots.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ServerFlags {
  readonly server?: string | undefined
  readonly 'ca-file'?: string | undefined
}

/** A server to act at, and as whom. */
export interface Remote {
  readonly server: Server
  /** As the lease of this job, by its handle. */
  readonly inTask: boolean
  readonly bearer: () => Promise<Secret>
}

/**
 * The server that a command is for: the one of `--server`, or inside a job the one that its lease is
 * of; undefined: the local daemon. As the operator where a key is named along with `--server`, else as
 * the job where there is a handle. A handle goes to no other server than its own.
 */
export async function remoteOf(
  flags: ServerFlags,
  env: Environment,
  keys: KeySource,
): Promise<Remote | undefined> {
  const { BROKER_HANDLE: handle, BROKER_SERVER: home, BROKER_SOCKET: socket } = env
  const address = flags.server ?? (handle && !socket ? home || undefined : undefined)
  if (address === undefined) {
    if (flags['ca-file'] !== undefined) throw needsServer()
    return undefined
  }
  if (socket) throw insideTask()
  const server = serverAt(address, await rootsFrom(flags['ca-file'], env))
  if (!handle || (flags.server !== undefined && namesKey(keys))) {
    return { server, inTask: false, bearer: () => operatorKeyFrom(keys, server.url) }
  }
  if (home && serverAt(home).url !== server.url) throw elsewhere(home)
  const secret = new Secret(handle)
  return { server, inTask: true, bearer: async () => secret }
}

function needsServer(): BrokerError {
  return new BrokerError('usage', '--ca-file goes with --server only', {
    hint: 'add --server https://HOST:PORT, or leave out --ca-file',
  })
}

/** Its handle is for the broker at its socket. */
function insideTask(): BrokerError {
  return new BrokerError('denied', 'a task cannot act at another broker than its own', {
    hint: 'leave out --server, or do it outside of broker exec',
  })
}

function elsewhere(home: string): BrokerError {
  return new BrokerError('denied', `the lease of this job is of "${home.slice(0, 200)}"`, {
    hint: 'leave out --server, or name the operator key of the other server with BROKER_OPERATOR_KEY_FILE',
  })
}
