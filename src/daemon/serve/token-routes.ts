import type { Context } from '../../broker/context.ts'
import { introspect, leaseOfToken } from '../../broker/introspect.ts'
import { revoke } from '../../broker/revoke.ts'
import { hasEnded } from '../../core/transitions.ts'
import { BrokerError } from '../../errors.ts'
import { type TokenReading, tokenOf } from '../routes/oauth.ts'
import type { RouteTerms, Server } from '../server.ts'
import type { Admission } from './admission.ts'
import { TOKEN_EXCHANGE } from './exchange-form.ts'
import { answerOauth, noStore } from './oauth-errors.ts'
import type { RemoteCallers } from './remote-callers.ts'
import { noteLease } from './request-log.ts'

export interface TokenTerms {
  readonly admission: Admission
  readonly formBytes: number
  readonly callers: RemoteCallers
}

/** Metadata (RFC 8414), keys, introspection (RFC 7662) and revocation (RFC 7009) of a server. */
export function addTokenRoutes(
  server: Server,
  context: Context,
  reading: TokenReading,
  terms: TokenTerms,
): void {
  const { admission } = terms
  const oauth: RouteTerms = {
    bodyLimit: terms.formBytes,
    answerError: (error, reply) => answerOauth(error, reply, context.log),
  }
  server.add('jwks', () => reading.jwks())
  server.add('metadata', async () => metadata(context.issuer))

  server.add(
    'introspect',
    async ({ caller, request, reply }) => {
      noStore(reply)
      return introspect(context, reading.readToken, tokenOf(request.body), caller)
    },
    {
      ...oauth,
      caller: 'operator-or-lease',
      identify: ({ headers, ip }) => terms.callers.client(headers.authorization, ip),
    },
  )

  // Whoever holds a token may end it: that is all that is asked of them.
  server.add(
    'oauthRevoke',
    async ({ request, reply }) => {
      noStore(reply)
      const token = tokenOf(request.body)
      const lease = await leaseOfToken(context, reading.readToken, token)
      if (!lease) {
        // Of a lease that is over: whoever makes sure of its end has not failed at anything.
        if (terms.callers.knew(token)) return {}
        // After the look: what strangers at the same address do must not keep a lease alive.
        admission.refuseTired(request.ip)
        admission.noteFailure(request.ip)
        return {}
      }
      noteLease(request, lease.id)
      terms.callers.noteGood(token)
      const ended = await revoke(context, lease.id, 'task_ended', 'revoked by its holder')
      const over = hasEnded(ended.state)
      reply.header('broker-lease-state', over ? 'revoked' : 'revoking')
      if (over) return {}
      // RFC 7009 §2.2.1: the client must assume that the token still exists.
      throw new BrokerError('provider_unavailable', `lease "${lease.id}" is still being revoked`, {
        hint: 'it is retried until it is confirmed',
        details: { lease: lease.id },
      })
    },
    { ...oauth, caller: 'anyone' },
  )
}

function metadata(issuer: string) {
  return {
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    token_endpoint_auth_methods_supported: ['none'],
    grant_types_supported: [TOKEN_EXCHANGE],
    authorization_details_types_supported: ['broker_grant'],
    response_types_supported: [],
    revocation_endpoint: `${issuer}/oauth/revoke`,
    revocation_endpoint_auth_methods_supported: ['none'],
    introspection_endpoint: `${issuer}/oauth/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'Bearer'],
    jwks_uri: `${issuer}/.well-known/jwks.json`,
  }
}
