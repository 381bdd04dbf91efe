import { tokenForm } from '../../api/schemas.ts'
import type { Context } from '../../broker/context.ts'
import { introspect, leaseOfToken, type ReadToken } from '../../broker/introspect.ts'
import { revoke } from '../../broker/revoke.ts'
import { hasEnded } from '../../core/transitions.ts'
import { BrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { Form } from '../form.ts'
import type { Server } from '../server.ts'

export interface TokenReading {
  readonly readToken: ReadToken
  readonly jwks: () => Promise<JsonObject>
}

/** What anybody may ask, to check our tokens by: metadata (RFC 8414) and keys. */
export function addKeyRoutes(server: Server, context: Context, reading: TokenReading): void {
  const { origin } = new URL(context.issuer)
  server.add('jwks', () => reading.jwks())

  server.add('metadata', async () => ({
    issuer: context.issuer,
    jwks_uri: `${origin}/.well-known/jwks.json`,
    introspection_endpoint: `${origin}/oauth/introspect`,
    revocation_endpoint: `${origin}/oauth/revoke`,
    response_types_supported: [],
    grant_types_supported: [],
  }))
}

/** The OAuth endpoints that exist locally: those above, introspection (7662) and revocation (7009). */
export function addOauthRoutes(server: Server, context: Context, reading: TokenReading): void {
  addKeyRoutes(server, context, reading)

  server.add('introspect', async ({ caller, request, reply }) => {
    reply.header('cache-control', 'no-store')
    return introspect(context, reading.readToken, tokenOf(request.body), caller)
  })

  server.add('oauthRevoke', async ({ request }) => {
    const lease = await leaseOfToken(context, reading.readToken, tokenOf(request.body))
    if (!lease) return {}
    const ended = await revoke(context, lease.id, 'revoked_by_operator', 'OAuth revocation')
    if (hasEnded(ended.state)) return {}
    // RFC 7009 §2.2.1: the client must assume that the token still exists.
    throw new BrokerError('provider_unavailable', `lease "${lease.id}" is still being revoked`, {
      hint: 'it is retried until it is confirmed; see broker tokens',
    })
  })
}

/** The token that a request of RFC 7009 or RFC 7662 is about. Throws `invalid_request`. */
export function tokenOf(body: unknown): string {
  const form = Form.of(body)
  form.refuseRepeated()
  return tokenForm.parse({ token: form.required('token') }).token
}
