import type { RouteName } from '../../api/routes.ts'
import type { Context } from '../../broker/context.ts'
import { claim } from '../../broker/exchange/claim.ts'
import { BrokerError } from '../../errors.ts'
import { Secret } from '../../lib/secret.ts'
import type { Server } from '../server.ts'
import { leaseView } from '../views.ts'

/**
 * What a server answers over the network, and nothing else: what changes this machine (connections, its
 * vault, the daemon itself) is for its own socket, whoever holds which key. Leases are issued by exchange
 * and over sessions alone.
 */
const SERVED: ReadonlySet<RouteName> = new Set([
  'health',
  'ready',
  'metrics',
  'jwks',
  'metadata',
  'exchange',
  'introspect',
  'oauthRevoke',
  'listLeases',
  'showLease',
  'claimLease',
  'ackLease',
  'revokeLease',
  'revokeLeases',
  'checkTemplates',
  'testTemplates',
  'applyTemplates',
  'listTemplates',
  'showTemplate',
  'listApprovals',
  'showApproval',
  'approve',
  'deny',
  'enroll',
  'confirmEnrollment',
  'listAudit',
  'verifyAudit',
] satisfies RouteName[])

/** Takes the routes that a server has and drops the others, whoever adds them. */
export function onlyServed(server: Server): Server {
  return {
    app: server.app,
    add: (name, handler, terms) => {
      if (SERVED.has(name)) server.add(name, handler, terms)
    },
  }
}

/** `POST /v1/leases/:id/credentials`: the variables of a lease that was had by exchange, once. */
export function addClaimRoute(server: Server, context: Context): void {
  server.add('claimLease', async ({ caller, request, reply }) => {
    const { id } = request.params as { id: string }
    if (caller.kind !== 'lease' || caller.lease.id !== id) {
      throw new BrokerError('not_found', `there is no lease "${id}"`, {
        hint: 'send "Authorization: Bearer" with the credential of this very lease',
      })
    }
    const handle = new Secret((request.headers.authorization ?? '').slice('Bearer '.length))
    const { lease, variables } = await claim(context, caller.lease, handle)
    reply.header('cache-control', 'no-store').header('pragma', 'no-cache')
    return { lease: leaseView(lease), variables: variables.reveal() }
  })
}
