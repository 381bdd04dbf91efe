import type { RequestFacts } from '../../core/guard.ts'
import type { JudgedRequest } from '../../proxy/gate.ts'

const PORTS = { http: 80, https: 443 } as const

/** A request as guards see it, with its body or by its head alone. */
export function factsOf(
  request: JudgedRequest,
  body: RequestFacts['body'] = request.body ?? null,
): RequestFacts {
  const host = request.host.includes(':') ? `[${request.host}]` : request.host
  const { upgrade } = request
  return {
    method: request.method,
    authority: request.port === PORTS[request.scheme] ? host : `${host}:${request.port}`,
    path: request.path,
    query: request.query ?? null,
    // The proxy takes hop-by-hop fields off; the one a guard must see is put back.
    headers: upgrade === undefined ? request.fields : [...request.fields, ['upgrade', upgrade]],
    body,
  }
}
