import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteName } from '../../api/routes.ts'
import type { Log } from '../../broker/context.ts'
import { isLeaseId } from '../../lib/ids.ts'

const meant = new WeakMap<FastifyRequest, string>()

/** The lease that a request turned out to be about, where its path does not say so. */
export function noteLease(request: FastifyRequest, lease: string): void {
  meant.set(request, lease)
}

/** One line for each request: no path, query, header or body, which may hold what nobody may read. */
export function logRequest(
  log: Log,
  route: RouteName | null,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const lease = meant.get(request) ?? leaseOf(request.params)
  log.info('request', {
    route: route ?? 'none',
    status: reply.raw.writableFinished ? reply.statusCode : 499,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    id: request.id,
    ...(lease !== null && { lease }),
  })
}

/** Of the path; only what looks like one of ours. */
function leaseOf(params: unknown): string | null {
  const { id } = (params ?? {}) as { id?: unknown }
  return typeof id === 'string' && isLeaseId(id) ? id : null
}
