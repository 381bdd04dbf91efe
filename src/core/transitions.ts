import type { Capability, GrantState, LeaseState } from './lease.ts'

/** The only arrows of the state machine (design §5). The database refuses every other one too. */
export const ARROWS: Readonly<Record<LeaseState, readonly LeaseState[]>> = {
  requested: ['pending', 'intent', 'minting', 'denied'],
  pending: ['intent', 'denied', 'lapsed'],
  intent: ['minting', 'failed'],
  minting: ['active', 'revoking', 'failed'],
  active: ['revoking', 'revoked'],
  revoking: ['revoked', 'expired', 'failed', 'stuck'],
  stuck: ['revoking', 'revoked', 'expired', 'failed'],
  revoked: [],
  expired: [],
  failed: [],
  denied: [],
  lapsed: [],
}

export function hasEnded(state: LeaseState): boolean {
  return ARROWS[state].length === 0
}

/** A grant in one of these can no longer hold a working credential. */
export function grantHasEnded(state: GrantState): boolean {
  return state === 'revoked' || state === 'expired' || state === 'failed'
}

/**
 * Where a lease that is being revoked stands, from its grants. `failed` only when nothing was ever
 * minted; `expired` when any credential was left to die by itself, because "revoked" would then be a lie.
 */
export function revocationState(grants: readonly GrantState[]): LeaseState {
  if (grants.some((state) => state === 'stuck')) return 'stuck'
  if (!grants.every(grantHasEnded)) return 'revoking'
  if (grants.includes('expired')) return 'expired'
  return grants.length > 0 && grants.every((state) => state === 'failed') ? 'failed' : 'revoked'
}

/** Only these close at the credential's own expiry; everything else is retried until confirmed. */
export function closesByExpiry(capability: Capability): boolean {
  return capability === 'token-only' || capability === 'expiry-only'
}
