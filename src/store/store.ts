import type { Entry, NewEntry, SignedHead } from '../audit/entry.ts'
import type { Approval } from '../core/approval.ts'
import type { Lease, LeaseState } from '../core/lease.ts'
import type { Configuration } from '../core/template.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { JsonObject } from '../lib/json.ts'
import type { RequestRecord } from './records.ts'

export interface StoredConnection {
  readonly name: string
  readonly provider: string
  readonly settings: JsonObject
  readonly vaultKey: string | null
  /** The address its secret belongs to; null where the provider has none. */
  readonly origin: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

export interface StoredConfiguration {
  readonly version: number
  readonly sha256: string
  readonly text: string
  readonly compiled: Configuration
  readonly appliedAt: number
}

export interface StoredTemplate {
  readonly name: string
  readonly version: number
  readonly sha256: string
  readonly definition: JsonObject
  readonly appliedAt: number
}

/** What is kept of a lease's bearer secrets: digests. */
export interface LeaseSecrets {
  readonly handleDigest: string
  readonly sessionDigest: string | null
}

/** An identity token that was used, and the lease it was used for. */
export interface StoredExchange {
  /** What makes it this token and no other: a digest, never the token. */
  readonly token: string
  readonly lease: LeaseId
  /** Digests of the `Idempotency-Key` and of what was asked for; null: no request is answered twice. */
  readonly key: string | null
  readonly request: string | null
  /** Milliseconds since the epoch; nobody accepts the token after it. */
  readonly keepUntil: number
}

/** What waits sealed for somebody who holds the key: an answer sent once, or a lease's variables. */
export type SealedPurpose = 'answer' | 'variables'

export interface LeaseQuery {
  readonly live: boolean
  readonly environment?: string | undefined
  readonly limit: number
  /** Leases older than this one. */
  readonly before?: string | undefined
}

export interface EntryQuery {
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined
  readonly lease?: string | undefined
  readonly after: number
  readonly limit: number
}

export interface ApprovalQuery {
  /** Pending ones only. */
  readonly pending: boolean
  readonly lease?: string | undefined
  readonly limit: number
  /** Approvals older than this one. */
  readonly before?: string | undefined
}

/** What the gate decided of one request, for the counters of a grant. */
export type Counted = 'allowed' | 'denied' | 'approved'

/** How many grants of live leases there are of one kind. `state` is the lease's. */
export interface LiveGrants {
  readonly state: LeaseState
  readonly environment: string
  readonly provider: string
  readonly count: number
}

/** Reading. What it sees was committed. */
export interface Reader {
  lease(id: string): Promise<Lease | undefined>
  state(id: string): Promise<LeaseState | undefined>
  /** Live leases only: the credential of an ended lease proves nothing. */
  leaseByHandle(digest: string): Promise<Lease | undefined>
  /** Newest first. */
  leases(query: LeaseQuery): Promise<readonly Lease[]>
  secrets(id: string): Promise<LeaseSecrets | undefined>
  /** Leases someone must look at now, longest overdue first. */
  due(now: number, limit: number): Promise<readonly LeaseId[]>
  /** Interrupted by a crash: minting, revoking or stuck. */
  unsettled(limit: number, after: string): Promise<readonly LeaseId[]>
  /** Active leases whose session was held by another run of the daemon. */
  heldByOthers(boot: string, limit: number): Promise<readonly LeaseId[]>
  liveChildren(parent: string): Promise<readonly LeaseId[]>
  liveOnConnection(connection: string): Promise<number>
  liveCount(scope: string): Promise<number>
  /** Grants of live leases, counted by what a chart tells apart. */
  liveGrants(): Promise<readonly LiveGrants[]>
  /** Active leases with a proxy: after a start, their proxies are gone. */
  activeProxied(limit: number): Promise<readonly LeaseId[]>
  /** What this identity token was used for. */
  exchange(token: string): Promise<StoredExchange | undefined>
  sealed(lease: string, purpose: SealedPurpose): Promise<string | undefined>
  approval(id: string): Promise<Approval | undefined>
  /** Newest first. */
  approvals(query: ApprovalQuery): Promise<readonly Approval[]>
  /** The newest one of this lease for exactly this. */
  approvalFor(lease: string, binding: string): Promise<Approval | undefined>
  pendingApprovals(lease: string): Promise<number>
  /** How many leases wait to be approved: of one principal, or asked for from inside one task. */
  pendingLeases(
    whose: { readonly principal: string } | { readonly parent: string },
  ): Promise<number>
  /** Pending or approved ones whose time is over, oldest first. */
  lapsedApprovals(now: number, limit: number): Promise<readonly Approval[]>
  connection(name: string): Promise<StoredConnection | undefined>
  connections(): Promise<readonly StoredConnection[]>
  /** The newest applied configuration. */
  configuration(): Promise<StoredConfiguration | undefined>
  /** Current versions only. */
  templates(): Promise<readonly StoredTemplate[]>
  /** Oldest first. */
  entries(query: EntryQuery): Promise<readonly Entry[]>
  newestEntries(limit: number): Promise<readonly Entry[]>
  head(): Promise<SignedHead | undefined>
  setting(name: string): Promise<string | undefined>
  remembered(key: string, caller: string): Promise<{ body: string; lease: string } | undefined>
}

/** Writing, always inside `Store.write`. */
export interface Writer extends Reader {
  /**
   * Adds the lease with its grants, and to the live counts of its scopes. Throws `conflict` where a lease
   * of the same run and template has not ended.
   */
  insertLease(lease: Lease, secrets: LeaseSecrets, dueAt: number | null): Promise<void>
  /**
   * Saves what may change of a lease and its grants; takes it off the live counts when it has ended.
   * Grants that are the very objects of `before`, as read in this transaction, are not written again.
   */
  saveLease(lease: Lease, dueAt: number | null, before?: Lease): Promise<void>
  /** Sets when these are looked at next; ended ones stay as they are. */
  defer(ids: readonly LeaseId[], until: number): Promise<void>
  /** Moves every deadline of every live lease by so many milliseconds. */
  shiftDeadlines(by: number): Promise<void>
  /** An active lease is in its receiver's hands. False: it is not active, or was delivered before. */
  deliver(id: string, at: number): Promise<boolean>
  /** Which daemon run holds the session; null: none does, and none has to. */
  holdSession(id: string, boot: string | null): Promise<void>
  /** Uses up an identity token. False, and nothing is changed, if it was used before. */
  consumeToken(exchange: StoredExchange): Promise<boolean>
  saveSealed(lease: string, purpose: SealedPurpose, text: string): Promise<void>
  /** All that is kept sealed for a lease, or only this. */
  dropSealed(lease: string, purpose?: SealedPurpose): Promise<void>
  /** Drops identity tokens that nobody accepts any more, and the answers kept for them. */
  forgetExchanges(now: number): Promise<void>
  /** Links the entry behind the head. Nothing is ever appended outside the transaction it belongs to. */
  append(entry: NewEntry): Promise<void>
  /** Adds one to a counter of a grant. */
  countRequest(lease: string, grant: string, counted: Counted): Promise<void>
  /** Notes that a foreign key was tried; counts it if it is known already. */
  noteForeign(lease: string, host: string, fingerprint: string, at: number): Promise<void>
  /** Adds the grants of a lease that was inserted without them, while it waited for its approval. */
  insertGrants(lease: Lease): Promise<void>
  insertApproval(approval: Approval): Promise<void>
  /** Saves what may change: state, decision and use. */
  saveApproval(approval: Approval): Promise<void>
  saveConnection(connection: StoredConnection): Promise<void>
  deleteConnection(name: string): Promise<boolean>
  /** Returns the new version. */
  insertConfiguration(configuration: Omit<StoredConfiguration, 'version'>): Promise<number>
  /** Replaces the current set; each with its own version. */
  replaceTemplates(templates: readonly StoredTemplate[]): Promise<void>
  /** The newest version of a template that was ever current, for numbering. */
  newestTemplate(name: string): Promise<StoredTemplate | undefined>
  saveSetting(name: string, value: string): Promise<void>
  remember(key: string, caller: string, body: string, lease: string, at: number): Promise<void>
  /** Drops what `remember` kept before this instant. */
  forgetBefore(at: number): Promise<void>
}

/**
 * Leases and their audit log, changed together or not at all.
 *
 * `write` runs `work` in one transaction and resolves when it is durable. `work` does nothing but
 * use the writer: no provider call, no waiting for anything else, because a transaction held open
 * holds up everyone. A throw rolls back all of it. Throws `storage_full` when there is no room.
 */
export interface Store {
  write<T>(work: (writer: Writer) => Promise<T>): Promise<T>
  /**
   * `writeRecords`, for the many small entries about tasks' requests: they may be durable a moment before
   * they are in the database. Resolves when they are durable: false if a lease is over, and nothing was
   * written. In one order with `write`: what was asked for later sees what was asked for before.
   */
  record(records: readonly RequestRecord[]): Promise<boolean>
  readonly read: Reader
  /** False while the reserve that revocations need is used up: then nothing may be minted. */
  hasReserve(): boolean
  close(): Promise<void>
}

/** The scopes a lease counts in, for the caps. */
export function liveScopes(
  lease: Pick<Lease, 'principal' | 'template'>,
): readonly [principal: string, template: string] {
  return [
    `principal:${lease.principal.kind}:${lease.principal.id}`,
    `template:${lease.template.name}`,
  ]
}
