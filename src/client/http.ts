import { ROUTES, type RouteName } from '../api/routes.ts'
import { BrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'
import { type Caller, callerOf, type Environment } from './caller.ts'
import { ensureDaemon } from './daemon-process.ts'
import { type Answer, exchange, isAway, isCutOff } from './exchange.ts'
import { errorFrom, garbled, notRunning, outOfReach } from './failure.ts'
import { callOf, type RequestOptions } from './route-call.ts'

export interface ClientOptions {
  readonly home: Home
  readonly env: Environment
  /** The folder of the bundles, needed to start the daemon. */
  readonly distFolder: string
  /** False: never start a daemon, for commands that only ask about it. */
  readonly start?: boolean
}

export interface Client {
  /** True if we act as a lease, inside its task. */
  readonly inTask: boolean
  /**
   * One request. Throws what the daemon refused with, rebuilt, or `daemon_unreachable`. A read is
   * repeated once if the daemon restarts in the middle of it; an act never is.
   */
  request<T>(route: RouteName, options?: RequestOptions): Promise<T>
}

export function createClient(options: ClientOptions): Client {
  const caller = callerOf(options.home, options.env)
  const mayStart = !caller.inTask && options.start !== false
  let ready: Promise<unknown> | undefined
  const ensure = () => ensureDaemon(options.home, options.env, options)
  return {
    inTask: caller.inTask,
    async request<T>(route: RouteName, details: RequestOptions = {}): Promise<T> {
      if (mayStart) {
        ready ??= ensure()
        await ready.catch((error: unknown) => {
          ready = undefined // the next request may have more luck
          throw error
        })
      }
      return unpack<T>(await send(caller, route, details, mayStart ? ensure : undefined))
    },
  }
}

async function send(
  caller: Caller,
  route: RouteName,
  details: RequestOptions,
  ensure: (() => Promise<unknown>) | undefined,
): Promise<Answer> {
  const identity = () => (ROUTES[route].caller === 'anyone' ? {} : { bearer: caller.bearer() })
  const once = () => exchange({ ...callOf(route, details), socket: caller.socket, ...identity() })
  try {
    return await once()
  } catch (error) {
    const again = isAway(error) || (isCutOff(error) && ROUTES[route].method === 'GET')
    if (again && ensure !== undefined) {
      await ensure()
      return once()
    }
    if (isAway(error)) throw caller.inTask ? outOfReach(caller.socket, error) : notRunning(error)
    if (isCutOff(error)) throw cutOff(error)
    throw error
  }
}

function unpack<T>(answer: Answer): T {
  if (answer.status >= 200 && answer.status < 300) return answer.body as T
  throw errorFrom(answer.body) ?? garbled()
}

function cutOff(cause: unknown): BrokerError {
  return new BrokerError('daemon_unreachable', 'the daemon went away before it answered', {
    hint: 'whether it did what was asked is unknown: look before asking again',
    cause,
  })
}
