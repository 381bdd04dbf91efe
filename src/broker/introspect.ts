import type { Lease } from '../core/lease.ts'
import { digest } from '../lib/equal.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Caller, Context } from './context.ts'

/** Reads one of our access tokens: its claims if it is well-formed, ours and not expired; else null. */
export type ReadToken = (token: string) => Promise<JsonObject | null>

/**
 * Introspection (RFC 7662): whether one of our access tokens, or a lease's own credential, is still good.
 * A token is good while its signature holds, its time has not come, and its lease is active: revoking the
 * lease kills it at once. Unknown, foreign and broken tokens are all just inactive (§2.2), and so is to a
 * task what is not of its own lease (§4).
 */
export async function introspect(
  context: Context,
  readToken: ReadToken,
  token: string,
  asker: Caller,
): Promise<JsonObject> {
  const found = await lookUp(context, readToken, token)
  if (!found || !mayHear(asker, found.lease)) return INACTIVE
  const { lease, claims } = found
  if (!isGood(lease, context.now())) return INACTIVE
  if (claims === null) return { active: true, token_type: 'N_A', ...handleClaims(context, lease) }
  const minted = lease.grants.some(
    (grant) => grant.state === 'active' && grant.recipe['jti'] === claims['jti'],
  )
  return minted ? { active: true, token_type: 'Bearer', ...claims } : INACTIVE
}

const INACTIVE: JsonObject = { active: false }

function mayHear(asker: Caller, lease: Lease): boolean {
  return asker.kind === 'operator' || (asker.kind === 'lease' && asker.lease.id === lease.id)
}

function isGood(lease: Lease, now: number): boolean {
  return lease.state === 'active' && now < lease.expiresAt
}

/** What a lease's credential stands for, in the words of RFC 7662 §2.2. */
function handleClaims({ issuer }: Context, lease: Lease): JsonObject {
  return {
    iss: issuer,
    sub: lease.principal.id,
    scope: `template:${lease.template.name}`,
    iat: Math.floor(lease.issuedAt / 1000),
    exp: Math.floor(lease.expiresAt / 1000),
    env: lease.environment,
    lease: lease.id,
  }
}

interface Found {
  readonly lease: Lease
  /** Of an access token; null for a lease's own credential. */
  readonly claims: JsonObject | null
}

async function lookUp(
  context: Context,
  readToken: ReadToken,
  token: string,
): Promise<Found | undefined> {
  const { read } = context.store
  if (token.startsWith('bkh_')) {
    const lease = await read.leaseByHandle(digest(token))
    return lease && { lease, claims: null }
  }
  const claims = await readToken(token)
  const id = claims?.['lease']
  const lease = typeof id === 'string' ? await read.lease(id) : undefined
  return lease && { lease, claims }
}

/**
 * Which lease a token belongs to, for revocation (RFC 7009). Undefined for anything that is not a token of
 * ours: to the caller that is success all the same (§2.2).
 */
export async function leaseOfToken(
  context: Context,
  readToken: ReadToken,
  token: string,
): Promise<Lease | undefined> {
  return (await lookUp(context, readToken, token))?.lease
}
