import type { GrantView, LeaseView } from '../../src/api/types.ts'

export const LEASE_ID = 'lse_01k9x2m4v7e8r5t6y7n8p9q0a1'

export function grant(changes: Partial<GrantView> = {}): GrantView {
  return {
    name: 'db',
    provider: 'postgres',
    connection: 'pg-staging',
    mode: 'native',
    capability: 'named',
    state: 'active',
    operations: ['SELECT'],
    approvable: [],
    expiresAt: '2026-01-01T00:30:00.000Z',
    possiblyLiveUntil: null,
    notes: [],
    requests: { allowed: 0, denied: 0, approved: 0 },
    ...changes,
  }
}

export function lease(changes: Partial<LeaseView> = {}): LeaseView {
  return {
    id: LEASE_ID,
    state: 'active',
    environment: 'staging',
    template: { name: 'staging-dev', version: 3, sha256: 'a'.repeat(64) },
    principal: { kind: 'local', id: 'alice' },
    actor: { command: 'cursor', pid: 4242 },
    reason: 'fix login',
    isolation: 'scrub',
    parent: null,
    run: null,
    issuedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-01T00:30:00.000Z',
    endedAt: null,
    endReason: null,
    endNote: null,
    foreignCredentials: [],
    grants: [grant()],
    ...changes,
  }
}
