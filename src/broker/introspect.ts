import type { Lease } from '../core/lease.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Context } from './context.ts'

/** Reads one of our access tokens: its claims if it is well-formed, ours and not expired; else null. */
export type ReadToken = (token: string) => Promise<JsonObject | null>

/**
 * Introspection (RFC 7662): whether one of our access tokens is still good. A token is good while
 * its signature holds, its time has not come, and its lease is active: revoking the lease kills it
 * at once. Unknown, foreign and broken tokens are all just inactive (§2.2).
 */
export async function introspect(
  context: Context,
  readToken: ReadToken,
  token: string,
): Promise<JsonObject> {
  const claims = await readToken(token)
  if (!claims) return { active: false }
  const id = claims['lease']
  const lease = typeof id === 'string' ? await context.store.read.lease(id) : undefined
  if (!lease || !isGood(lease, claims['jti'], context.now())) return { active: false }
  return { active: true, token_type: 'Bearer', ...claims }
}

function isGood(lease: Lease, jti: unknown, now: number): boolean {
  if (lease.state !== 'active' || now >= lease.expiresAt) return false
  return lease.grants.some((grant) => grant.state === 'active' && grant.recipe['jti'] === jti)
}

/**
 * Which lease an access token belongs to, for revocation (RFC 7009). Undefined for anything that is
 * not a token of ours: to the caller that is success all the same (§2.2).
 */
export async function leaseOfToken(
  context: Context,
  readToken: ReadToken,
  token: string,
): Promise<Lease | undefined> {
  const claims = await readToken(token)
  const id = claims?.['lease']
  return typeof id === 'string' ? context.store.read.lease(id) : undefined
}
