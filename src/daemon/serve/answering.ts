import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type RelayView, SESSION } from '../../api/session.ts'
import type { Health } from '../../api/types.ts'
import type { Context } from '../../broker/context.ts'
import type { Issued } from '../../broker/issue.ts'
import type { Authentication } from '../authenticate.ts'
import type { Proxies } from '../proxies.ts'
import type { TokenReading } from '../routes/oauth.ts'
import { type Server, serverFor } from '../server.ts'
import type { RemoteTerms as SessionTerms } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import { Admission } from './admission.ts'
import type { Connections } from './connections.ts'
import { addExchangeRoute } from './exchange-route.ts'
import type { ServeLimits } from './limits.ts'
import { Metrics } from './metrics.ts'
import { addProbeRoutes } from './probe-routes.ts'
import { ProxyRelay } from './proxy-relay.ts'
import { RemoteCallers } from './remote-callers.ts'
import { logRequest } from './request-log.ts'
import { addClaimRoute, onlyServed } from './routes.ts'
import { Standing } from './standing.ts'
import { addTokenRoutes } from './token-routes.ts'
import { Upgrades } from './upgrades.ts'

/** What the daemon lends to its server. */
export interface Lent {
  readonly context: Context
  readonly authentication: Authentication
  readonly reading: TokenReading
  readonly sessions: Sessions
  readonly proxies: Proxies
  readonly health: () => Health
  /** Adds the routes that the local socket has as well; those that are not for a server are dropped. */
  readonly addRoutes: (server: Server) => void
}

/** Whatever answers at the port. */
export interface Answering {
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void
  readonly upgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => void
  readonly metrics: Metrics
  readonly relay: ProxyRelay
}

/** Puts together routes and upgrades. Nothing is answered before this resolves. */
export async function answering(
  lent: Lent,
  limits: ServeLimits,
  connections: Connections,
): Promise<Answering> {
  const { context, authentication, proxies } = lent
  const monotonic = () => performance.now()
  const standing = new Standing(context, monotonic)
  const relay = new ProxyRelay({ portOf: (lease) => proxies.portOf(lease) })
  const metrics = new Metrics({ context, standing, monotonic, relayed: () => relay.open })
  const admission = new Admission(limits, monotonic)
  const onRefused = () => metrics.turnedAway('key')
  const callers = new RemoteCallers({ context, authentication, admission, onRefused })
  const server = routes(lent, limits, { standing, metrics, admission, callers })
  await server.app.ready()
  const upgrades = new Upgrades({
    callers,
    sessions: lent.sessions,
    relay,
    log: context.log,
    connections,
    // No pid: it would be one of another machine to whoever is told.
    facts: {
      version: lent.health().version,
      pid: 0,
      socket: '',
      remote: sessionTerms(proxies, limits, admission),
    },
    onDone: (what, status, lease) => {
      metrics.answered(what === 'session' ? 'session' : null, status)
      context.log.info('upgrade', { what, status, ...(lease !== null && { lease }) })
    },
  })
  return {
    answer: (request, response) => server.app.routing(request, response),
    upgrade: (request, socket, head) => upgrades.take(request, socket, head),
    metrics,
    relay,
  }
}

interface Parts {
  readonly standing: Standing
  readonly metrics: Metrics
  readonly admission: Admission
  readonly callers: RemoteCallers
}

function routes(lent: Lent, limits: ServeLimits, parts: Parts): Server {
  const { context, reading, health } = lent
  const { standing, metrics, admission, callers } = parts
  const { formBytes } = limits
  const server = onlyServed(
    serverFor(context, ({ headers, ip }) => callers.known(headers.authorization, ip), {
      bodyLimit: limits.bodyBytes,
      onDone: (route, request, reply) => {
        metrics.answered(route, reply.statusCode)
        logRequest(context.log, route, request, reply)
      },
    }),
  )
  const ownHealth = () => ({ status: health().status, version: health().version })
  addProbeRoutes(server, { health: ownHealth, standing, metrics })
  addTokenRoutes(server, context, reading, { admission, formBytes, callers })
  addExchangeRoute(server, context, {
    admission,
    formBytes,
    onOutcome: (outcome, reason) => metrics.exchanged(outcome, reason),
  })
  addClaimRoute(server, context)
  lent.addRoutes(server)
  return server
}

function sessionTerms(
  proxies: Proxies,
  { beginMs }: ServeLimits,
  admission: Admission,
): SessionTerms {
  return {
    relayOf: ({ lease, proxy }: Issued): RelayView | null =>
      proxy && { ca: proxies.caOf(lease.id) ?? '', gitHeaders: proxy.gitHeaders },
    beginMs,
    silenceMs: SESSION.silenceMs,
    returnMs: SESSION.returnMs,
    refusalOf: (address, error) => admission.refusalOf(address, error),
  }
}
