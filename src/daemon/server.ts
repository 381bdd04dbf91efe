import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { ROUTES, type RouteName } from '../api/routes.ts'
import type { Caller, Context } from '../broker/context.ts'
import { type Authentication, authenticate, requireOperator } from './authenticate.ts'
import { problemOf } from './problem.ts'

export interface Call {
  readonly caller: Caller
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** A route's work: gets who calls, returns the body. Throws BrokerError; never answers errors itself. */
export type Handler = (call: Call) => Promise<unknown>

/** Routes are added by name from the table in `api/routes.ts`, so none can be served that it does not list. */
export interface Server {
  readonly app: FastifyInstance
  add(name: RouteName, handler: Handler): void
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
): Server {
  const app = Fastify({
    logger: false,
    bodyLimit: 2 * 1024 * 1024,
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
    forceCloseConnections: true,
  })
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  )
  app.setErrorHandler((error, _request, reply) => answer(context, reply, error))
  app.setNotFoundHandler((_request, reply) => answer(context, reply, { statusCode: 404 }))
  const callers = new WeakMap<FastifyRequest, Caller>()
  return {
    app,
    add(name, handler) {
      const route = ROUTES[name]
      app.route({
        method: route.method,
        url: route.path,
        // Before the body is read: whoever may not call has nothing parsed for them.
        onRequest: async (request) => {
          if (route.caller === 'anyone') return
          const caller = await identify(request)
          if (route.caller === 'operator') requireOperator(caller)
          callers.set(request, caller)
        },
        handler: async (request, reply) => {
          const caller = route.caller === 'anyone' ? NOBODY : callers.get(request)
          if (!caller) throw new TypeError('a request that nobody authenticated')
          return handler({ caller, request, reply })
        },
      })
    },
  }
}

function answer(context: Context, reply: FastifyReply, error: unknown): void {
  const problem = problemOf(error, context.log)
  if (problem.status === 429 || problem.status === 503) reply.header('retry-after', '5')
  reply.code(problem.status).type('application/problem+json').send(problem)
}
