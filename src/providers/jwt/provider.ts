import { BrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { Secret } from '../../lib/secret.ts'
import type { Minted, MintRequest, Provider, World } from '../provider.ts'
import { catalogue, isScopeToken } from './catalogue.ts'
import { narrowness } from './narrowness.ts'
import { audienceOf, parseTarget } from './target.ts'

const VARIABLE = 'BROKER_ACCESS_TOKEN'

/**
 * Access tokens of our own (RFC 9068) for the user's own APIs. Nothing is made elsewhere, so there
 * is nothing to clean up: the lease's row is the truth, and introspection answers from it. An API
 * that checks only signature and expiry accepts a revoked token until it expires.
 */
export function createJwt(): Provider {
  return {
    name: 'jwt',
    mode: 'native',
    capability: 'phantom',
    catalogue,
    secretPrompt: null,
    consistencyMs: 0,
    parseTarget,
    plan,
    mint,
    revoke: async () => ({ outcome: 'revoked', notes: [] }),
    narrowness: async (request, world) => narrowness(request, world),
    variables: () => [VARIABLE],
    bearer: () => VARIABLE,
  }
}

/** The `jti` is known before the token is: lease and grant name one token, and only one is minted. */
function plan(request: MintRequest): JsonObject {
  const malformed = request.operations.find((operation) => !isScopeToken(operation))
  if (malformed !== undefined || request.operations.length === 0) {
    throw new BrokerError('provider_failed', `"${malformed ?? ''}" cannot be a scope`, {
      hint: 'a scope is printable ASCII without space, quote and backslash',
    })
  }
  return { jti: `${request.lease}.${request.grant}`, audience: audienceOf(request.target) }
}

async function mint(
  request: MintRequest,
  recipe: JsonObject,
  _connection: unknown,
  world: World,
): Promise<Minted> {
  const claims = claimsOf(request, recipe, world)
  const { sign } = await world.signer()
  const token = await sign('at+jwt', claims)
  return {
    variables: new Secret({ [VARIABLE]: token }),
    handle: { jti: claims.jti, audience: claims.aud },
    expiresAt: claims.exp * 1000,
    notes: [],
  }
}

/** RFC 9068 §2.2. Seconds are rounded down: a token never outlives its lease, nor comes before it. */
function claimsOf(request: MintRequest, recipe: JsonObject, world: World) {
  const { jti } = recipe
  if (typeof jti !== 'string') throw new TypeError('a recipe of another provider')
  const iat = Math.floor(world.now() / 1000)
  const exp = Math.floor(request.notAfter / 1000)
  if (exp <= iat) {
    throw new BrokerError('provider_failed', 'the lease ends before a token could be used', {
      hint: 'ask for a longer --ttl: tokens count in whole seconds',
    })
  }
  return {
    iss: world.issuer,
    sub: request.principal,
    aud: audienceOf(recipe) ?? world.issuer,
    client_id: 'broker-cli',
    scope: request.operations.join(' '),
    iat,
    exp,
    jti,
    env: request.environment,
    lease: request.lease,
  }
}
