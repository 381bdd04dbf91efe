import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { ROUTES, type RouteName } from '../api/routes.ts'
import type { Caller, Context } from '../broker/context.ts'
import { type Authentication, authenticate, requireOperator } from './authenticate.ts'
import { Form } from './form.ts'
import { problemOf } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of the table in `api/routes.ts`. */
    route?: RouteName
  }
}

export interface Call {
  readonly caller: Caller
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** A route's work: gets who calls, returns the body. Throws BrokerError; never answers errors itself. */
export type Handler = (call: Call) => Promise<unknown>

/** What one route has of its own. */
export interface RouteTerms {
  /** Instead of what the table says of who may call. */
  readonly caller?: (typeof ROUTES)[RouteName]['caller']
  /** Instead of the server's. */
  readonly identify?: (request: FastifyRequest) => Promise<Caller>
  /** Instead of a problem (RFC 9457). */
  readonly answerError?: (error: unknown, reply: FastifyReply) => void
  readonly bodyLimit?: number
}

/** Routes are added by name from the table in `api/routes.ts`, so none can be served that it does not list. */
export interface Server {
  readonly app: FastifyInstance
  add(name: RouteName, handler: Handler, terms?: RouteTerms): void
}

export interface ServerTerms {
  readonly bodyLimit?: number
  /** Of each request, when it was answered or broke off. `route` is null for what no route was for. */
  readonly onDone?: (route: RouteName | null, request: FastifyRequest, reply: FastifyReply) => void
}

const NOBODY: Caller = { kind: 'operator', principal: { kind: 'local', id: 'anyone' } }

/** The broker's own socket: for its person by the operator key, and for tasks that see it. */
export function createServer(context: Context, authentication: Authentication): Server {
  return serverFor(context, ({ headers }) =>
    authenticate(context, authentication, headers.authorization),
  )
}

/** `identify` says who calls, or throws. */
export function serverFor(
  context: Context,
  identify: (request: FastifyRequest) => Promise<Caller>,
  { bodyLimit = 2 * 1024 * 1024, onDone }: ServerTerms = {},
): Server {
  const app = Fastify({
    logger: false,
    bodyLimit,
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    // Before any route, such as for a URL that cannot be decoded: the framework's own answer would quote it.
    frameworkErrors: (error, request, reply) => {
      // No hook runs for these.
      reply.raw.once('close', () => onDone?.(null, request, reply))
      answer(context, reply, error)
    },
  })
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, new Form(String(body))),
  )
  app.setErrorHandler((error, _request, reply) => answer(context, reply, error))
  app.setNotFoundHandler((_request, reply) => answer(context, reply, { statusCode: 404 }))
  if (onDone) {
    app.addHook('onResponse', async (request, reply) => {
      onDone(request.routeOptions.config.route ?? null, request, reply)
    })
  }
  const callers = new WeakMap<FastifyRequest, Caller>()
  return {
    app,
    add(name, handler, terms = {}) {
      const route = ROUTES[name]
      const mayCall = terms.caller ?? route.caller
      const { answerError } = terms
      app.route({
        method: route.method,
        url: route.path,
        config: { route: name },
        ...(terms.bodyLimit !== undefined && { bodyLimit: terms.bodyLimit }),
        ...(answerError && { errorHandler: (error, _request, reply) => answerError(error, reply) }),
        // Before the body is read: whoever may not call has nothing parsed for them.
        onRequest: async (request) => {
          if (mayCall === 'anyone') return
          const caller = await (terms.identify ?? identify)(request)
          if (mayCall === 'operator') requireOperator(caller)
          callers.set(request, caller)
        },
        handler: async (request, reply) => {
          const caller = mayCall === 'anyone' ? NOBODY : callers.get(request)
          if (!caller) throw new TypeError('a request that nobody authenticated')
          return handler({ caller, request, reply })
        },
      })
    },
  }
}

function answer(context: Context, reply: FastifyReply, error: unknown): void {
  const problem = problemOf(error, context.log)
  if (problem.status === 429 || problem.status === 503) {
    reply.header('retry-after', String(problem.error.details['retryAfter'] ?? 5))
  }
  reply.code(problem.status).type('application/problem+json').send(problem)
}
