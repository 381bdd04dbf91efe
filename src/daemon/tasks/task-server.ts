import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import { ROUTES } from '../../api/routes.ts'
import type { Context } from '../../broker/context.ts'
import type { LeaseId } from '../../lib/ids.ts'
import { authenticateTask } from '../authenticate.ts'
import { addLeaseRoutes } from '../routes/leases.ts'
import type { TokenReading } from '../routes/oauth.ts'
import { addKeyRoutes } from '../routes/oauth.ts'
import { type Server, serverFor } from '../server.ts'
import { listenPrivately } from './private-socket.ts'

/** At once, of one task. */
const MOST_CONNECTIONS = 64

/** Where one request came in. */
interface Door {
  readonly lease: LeaseId
  readonly path: string
}

export interface TaskSocket {
  /** Cuts everything at once and removes the socket. May be repeated. */
  close(): void
}

/**
 * The sockets of single tasks. On them there is nothing but what a lease's own credential may ask: a route
 * of the operator's is not served there at all, so that no key that a task may find opens one.
 */
export class TaskServer {
  readonly #server: Server
  readonly #doors = new WeakMap<IncomingMessage, Door>()

  constructor(context: Context, reading: TokenReading) {
    this.#server = serverFor(context, (request) =>
      authenticateTask(context, this.#doorOf(request.raw).lease, request.headers.authorization),
    )
    const server = onlyForTasks(this.#server)
    addLeaseRoutes(server, context, ({ request }) => this.#doorOf(request.raw).path)
    addKeyRoutes(server, context, reading)
  }

  /** What is at the path already is an earlier run's and makes way. Throws what listening throws. */
  async open(lease: LeaseId, path: string): Promise<TaskSocket> {
    await this.#server.app.ready()
    // Without a listener for upgrades one is an ordinary request, for a route that is not here.
    const server = createServer((request, response) => {
      this.#doors.set(request, { lease, path })
      this.#server.app.routing(request, response)
    })
    server.maxConnections = MOST_CONNECTIONS
    await listenPrivately(server, path)
    return { close: () => cut(server) }
  }

  #doorOf(request: IncomingMessage): Door {
    const door = this.#doors.get(request)
    if (!door) throw new TypeError('a request that came through no door')
    return door
  }
}

/** The routes that a table row opens to leases; whoever adds others adds nothing. */
function onlyForTasks(server: Server): Server {
  return {
    app: server.app,
    add: (name, handler) => {
      if (ROUTES[name].caller !== 'operator') server.add(name, handler)
    },
  }
}

function cut(server: HttpServer): void {
  server.close()
  server.closeAllConnections()
}
