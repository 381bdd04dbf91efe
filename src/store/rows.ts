import type { Entry } from '../audit/entry.ts'
import type { ForeignCredential, Grant, Lease } from '../core/lease.ts'
import { LIVE } from '../core/lease.ts'
import type { CiRun } from '../core/trust/run.ts'
import type { LeaseId } from '../lib/ids.ts'
import { canonicalJson, type Json, type JsonObject } from '../lib/json.ts'
import type { AuditRow, ExchangeRow, GrantRow, LeaseRow } from './schema.ts'
import type { LeaseSecrets, StoredExchange } from './store.ts'

/** Rows and nouns, both ways. What the types cannot promise, the CHECKs and the writer do. */

export function leaseFromRow(row: LeaseRow, grants: readonly GrantRow[]): Lease {
  return {
    id: row.id as LeaseId,
    state: row.state as Lease['state'],
    environment: row.environment,
    template: {
      name: row.template_name,
      version: row.template_version,
      sha256: row.template_sha256,
    },
    principal: { kind: row.principal_kind as Lease['principal']['kind'], id: row.principal_id },
    actor: { command: row.actor_command, pid: row.actor_pid },
    reason: row.reason,
    isolation: row.isolation as Lease['isolation'],
    parent: row.parent as LeaseId | null,
    run: row.run === null ? null : { key: row.run_key, shown: JSON.parse(row.run) as CiRun },
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    deliveredAt: row.delivered_at,
    ackDeadline: row.ack_deadline,
    endedAt: row.ended_at,
    endReason: row.end_reason as Lease['endReason'],
    endNote: row.end_note,
    proxied: row.proxied === 1,
    foreignCredentials: JSON.parse(row.foreign_credentials) as ForeignCredential[],
    grants: grants.map(grantFromRow),
  }
}

export function grantFromRow(row: GrantRow): Grant {
  return {
    name: row.name,
    provider: row.provider,
    connection: row.connection,
    mode: row.mode as Grant['mode'],
    capability: row.capability as Grant['capability'],
    state: row.state as Grant['state'],
    operations: JSON.parse(row.operations) as string[],
    approvable: JSON.parse(row.approvable) as string[],
    recipe: JSON.parse(row.recipe) as JsonObject,
    handle: JSON.parse(row.handle) as Json,
    mintStartedAt: row.mint_started_at,
    expiresAt: row.expires_at,
    possiblyLiveUntil: row.possibly_live_until,
    attempts: row.attempts,
    firstFailedAt: row.first_failed_at,
    lastError: row.last_error,
    notes: JSON.parse(row.notes) as string[],
    requests: { allowed: row.allowed, denied: row.denied, approved: row.approved },
  }
}

/** The columns of a lease that may change after it was inserted. */
export function changingColumns(lease: Lease, dueAt: number | null) {
  return {
    state: lease.state,
    live: LIVE.includes(lease.state) ? 1 : 0,
    actor_command: lease.actor.command,
    actor_pid: lease.actor.pid,
    expires_at: lease.expiresAt,
    delivered_at: lease.deliveredAt,
    ack_deadline: lease.ackDeadline,
    ended_at: lease.endedAt,
    end_reason: lease.endReason,
    end_note: lease.endNote,
    due_at: dueAt,
  }
}

/** What a lease is from the start, whatever becomes of it. */
export function lastingColumns(lease: Lease, secrets: LeaseSecrets) {
  return {
    id: lease.id,
    environment: lease.environment,
    template_name: lease.template.name,
    template_version: lease.template.version,
    template_sha256: lease.template.sha256,
    principal_kind: lease.principal.kind,
    principal_id: lease.principal.id,
    reason: lease.reason,
    isolation: lease.isolation,
    parent: lease.parent,
    issued_at: lease.issuedAt,
    handle_digest: secrets.handleDigest,
    session_digest: secrets.sessionDigest,
    session_boot: null,
    proxied: lease.proxied ? 1 : 0,
    foreign_credentials: foreignText(lease.foreignCredentials),
    run_key: lease.run?.key ?? null,
    run: lease.run && canonicalJson({ ...lease.run.shown }),
  }
}

export function foreignText(tried: readonly ForeignCredential[]): string {
  return canonicalJson(tried.map((one) => ({ ...one })))
}

export function grantRow(lease: LeaseId, position: number, grant: Grant): GrantRow {
  return {
    lease,
    name: grant.name,
    position,
    provider: grant.provider,
    connection: grant.connection,
    mode: grant.mode,
    capability: grant.capability,
    operations: canonicalJson(grant.operations),
    approvable: canonicalJson(grant.approvable),
    ...grant.requests,
    ...changingGrantColumns(grant),
  }
}

export function changingGrantColumns(grant: Grant) {
  return {
    state: grant.state,
    recipe: canonicalJson(grant.recipe),
    handle: canonicalJson(grant.handle),
    mint_started_at: grant.mintStartedAt,
    expires_at: grant.expiresAt,
    possibly_live_until: grant.possiblyLiveUntil,
    attempts: grant.attempts,
    first_failed_at: grant.firstFailedAt,
    last_error: grant.lastError,
    notes: canonicalJson(grant.notes),
  }
}

export type LeaseChange = { readonly id: string; readonly issued_at: number } & ReturnType<
  typeof changingColumns
>
export type GrantChange = { readonly lease: string; readonly name: string } & ReturnType<
  typeof changingGrantColumns
>

export function exchangeFromRow(row: ExchangeRow): StoredExchange {
  return {
    token: row.token,
    lease: row.lease as LeaseId,
    key: row.key_digest,
    request: row.request_digest,
    keepUntil: row.keep_until,
  }
}

export function exchangeRow(exchange: StoredExchange): ExchangeRow {
  return {
    token: exchange.token,
    lease: exchange.lease,
    key_digest: exchange.key,
    request_digest: exchange.request,
    keep_until: exchange.keepUntil,
  }
}

export function entryFromRow(row: AuditRow): Entry {
  return { ...row }
}
