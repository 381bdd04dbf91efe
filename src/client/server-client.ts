import { ROUTES, type RouteName } from '../api/routes.ts'
import type { Secret } from '../lib/secret.ts'
import type { Environment } from './caller.ts'
import { errorFrom } from './failure.ts'
import type { Client } from './http.ts'
import { callOf, type RequestOptions } from './route-call.ts'
import { callServer, type Server, type ServerAnswer, type ServerCall } from './server.ts'
import {
  keyRefused,
  notABroker,
  notOffered,
  vaultLockedThere,
  wasCutOff,
  whyUnreachable,
} from './server-failure.ts'

export interface ServerClientOptions {
  readonly server: Server
  /** For the proxies that it names. */
  readonly env: Environment
  /** True if we act as the lease of a job. */
  readonly inTask: boolean
  /** Called once, and only when a broker has answered there. */
  readonly bearer: () => Promise<Secret>
}

/** The client of a `broker serve` elsewhere. Starts nothing and needs no home. */
export interface ServerClient extends Client {
  /** Throws unless a broker answers; nothing secret is sent to find out. Asks once. */
  meet(): Promise<void>
  /** Gets hold of the key, if this route wants one: a person may be asked for it. */
  identify(route: RouteName): Promise<void>
}

const MEET_MS = 20_000

export function createServerClient(options: ServerClientOptions): ServerClient {
  const { server, inTask } = options
  // Plain http stays on this machine: a proxy of the environment would read the key.
  const env = server.url.startsWith('https:') ? options.env : {}
  let version: Promise<string> | undefined
  let key: Promise<Secret> | undefined
  const meet = () => {
    version ??= versionAt(server, env)
    return version
  }
  const keyFor = async (route: RouteName) => {
    if (ROUTES[route].caller === 'anyone') return {}
    key ??= options.bearer()
    return { bearer: await key }
  }
  return {
    inTask,
    async meet() {
      await meet()
    },
    async identify(route) {
      await keyFor(route)
    },
    async request<T>(route: RouteName, details: RequestOptions = {}): Promise<T> {
      const found = await meet() // before any key leaves: a mistyped address must not get it
      const call = { ...callOf(route, details), ...(await keyFor(route)) }
      const answer = await send(server, call, env)
      if (answer.status >= 200 && answer.status < 300 && isObject(answer.body)) {
        return answer.body as T
      }
      throw refusalOf(options, answer, found)
    },
  }
}

/** A read is repeated once when the server starts anew in the middle of it; an act never is. */
async function send(server: Server, call: ServerCall, env: Environment): Promise<ServerAnswer> {
  try {
    return await callServer(server, call, env).catch((error: unknown) => {
      if (call.method === 'GET' && wasCutOff(error)) return callServer(server, call, env)
      throw error
    })
  } catch (error) {
    throw whyUnreachable(server, error)
  }
}

async function versionAt(server: Server, env: Environment): Promise<string> {
  const call = callOf('health', { timeoutMs: MEET_MS })
  const { status, body } = await send(server, call, env)
  const refusal = errorFrom(body)
  if (refusal !== undefined) throw refusal // too many requests, or on its way down
  if (isObject(body) && 'status' in body && 'version' in body) {
    if (typeof body.status === 'string' && typeof body.version === 'string') {
      return body.version.slice(0, 40)
    }
  }
  throw notABroker(server, status)
}

function refusalOf(
  { server, inTask }: ServerClientOptions,
  { status, body }: ServerAnswer,
  version: string,
): Error {
  const refusal = errorFrom(body)
  if (refusal === undefined) return notABroker(server, status)
  if (refusal.code === 'not_found' && refusal.message === 'there is no such route') {
    return notOffered(server, version)
  }
  if (refusal.code === 'unauthorized' && !inTask) return keyRefused(server)
  if (refusal.code === 'vault_locked') return vaultLockedThere(server, refusal)
  return refusal
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
