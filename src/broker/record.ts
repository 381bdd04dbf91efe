import type { Lease } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'

/** What an audit entry says of a lease when it begins: who, why, under which template, what, how long. */
export function requestFacts(lease: Lease): JsonObject {
  return {
    environment: lease.environment,
    template: { ...lease.template },
    principal: { ...lease.principal },
    actor: { ...lease.actor },
    reason: lease.reason,
    isolation: lease.isolation,
    parent: lease.parent,
    ...(lease.run && { run: { ...lease.run.shown } }),
    expiresAt: new Date(lease.expiresAt).toISOString(),
    grants: lease.grants.map((grant) => ({
      name: grant.name,
      provider: grant.provider,
      connection: grant.connection,
      mode: grant.mode,
      capability: grant.capability,
      operations: [...grant.operations],
      // Native credentials act without us: what was done with them is at the provider, not here.
      operationsSeen: grant.mode === 'proxied',
      recipe: grant.recipe,
    })),
  }
}

/** How each grant stands, for the entries that end a lease. */
export function grantFacts(lease: Lease): JsonObject[] {
  return lease.grants.map((grant) => ({
    name: grant.name,
    state: grant.state,
    attempts: grant.attempts,
    lastError: grant.lastError,
    possiblyLiveUntil: instant(grant.possiblyLiveUntil),
    notes: [...grant.notes],
  }))
}

export function instant(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}

/** The audit entry keeps reasons short: they come from outside. */
export const MAX_REASON = 4096

export function checkReason(reason: string | undefined): string | null {
  if (reason === undefined || reason === '') return null
  if (Buffer.byteLength(reason) <= MAX_REASON && reason.isWellFormed()) return reason
  throw new BrokerError('invalid_request', 'the reason is too long or not text', {
    hint: `at most ${MAX_REASON} bytes`,
  })
}
