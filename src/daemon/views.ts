import type { ApprovalView, GrantView, LeaseView } from '../api/types.ts'
import { instant } from '../broker/record.ts'
import type { Approval } from '../core/approval.ts'
import type { Grant, Lease } from '../core/lease.ts'

const iso = (at: number) => new Date(at).toISOString()

/** What anyone may see of a lease: no recipe, no handle, no digest. */
export function leaseView(lease: Lease): LeaseView {
  return {
    id: lease.id,
    state: lease.state,
    environment: lease.environment,
    template: { ...lease.template },
    principal: { ...lease.principal },
    actor: { ...lease.actor },
    reason: lease.reason,
    isolation: lease.isolation,
    parent: lease.parent,
    run: lease.run && { ...lease.run.shown },
    issuedAt: iso(lease.issuedAt),
    expiresAt: iso(lease.expiresAt),
    endedAt: instant(lease.endedAt),
    endReason: lease.endReason,
    endNote: lease.endNote,
    foreignCredentials: lease.foreignCredentials.map(({ lastAt, ...one }) => ({
      ...one,
      lastAt: iso(lastAt),
    })),
    grants: lease.grants.map((grant) => grantView(grant, lease)),
  }
}

function grantView(grant: Grant, lease: Lease): GrantView {
  return {
    name: grant.name,
    provider: grant.provider,
    connection: grant.connection,
    mode: grant.mode,
    capability: grant.capability,
    state: grant.state,
    operations: grant.operations,
    approvable: grant.approvable,
    expiresAt: iso(grant.expiresAt ?? lease.expiresAt),
    possiblyLiveUntil: instant(grant.possiblyLiveUntil),
    ...(grant.lastError === null ? {} : { lastError: grant.lastError }),
    notes: grant.notes,
    requests: grant.requests,
  }
}

/** What a person is shown of a question; not what it is bound to, nor what has to be typed. */
export function approvalView(approval: Approval): ApprovalView {
  const { typed: _, binding: __, usedAt: ___, ...shown } = approval
  return {
    ...shown,
    createdAt: iso(approval.createdAt),
    lapsesAt: iso(approval.lapsesAt),
    decidedAt: instant(approval.decidedAt),
  }
}
