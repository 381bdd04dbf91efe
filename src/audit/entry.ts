import type { JsonObject } from '../lib/json.ts'

/**
 * Every kind of entry. An entry holds what a reviewer asks (who, why, under which template, what,
 * when it ended) as allow-listed fields: never a request, never a secret.
 */
export type EntryType =
  | 'lease.requested'
  | 'lease.denied'
  | 'lease.active'
  | 'lease.delivered'
  | 'lease.started'
  | 'lease.claimed'
  | 'lease.claim_refused'
  | 'lease.revoking'
  | 'lease.retrying'
  | 'lease.stuck'
  | 'lease.revoked'
  | 'lease.expired'
  | 'lease.failed'
  | 'lease.pending'
  | 'lease.lapsed'
  | 'request.allowed'
  | 'request.denied'
  | 'request.ended'
  | 'egress.denied'
  | 'approval.requested'
  | 'approval.approved'
  | 'approval.denied'
  | 'approval.lapsed'
  | 'approval.used'
  | 'approver.enrolled'
  | 'approver.refused'
  | 'exchange.refused'
  | 'caller.refused'
  | 'orphan.revoked'
  | 'connection.stored'
  | 'connection.removed'
  | 'connection.probed'
  | 'template.applied'
  | 'daemon.started'
  | 'daemon.stopped'
  | 'clock.jumped'

/** What a use case writes; sequence, time and hash are added by the store. */
export interface NewEntry {
  readonly type: EntryType
  readonly lease: string | null
  readonly data: JsonObject
}

/** The same with its data as it is hashed and stored: canonical JSON (RFC 8785). */
export interface TextEntry extends Omit<NewEntry, 'data'> {
  readonly data: string
}

/** One stored entry. `data` is canonical JSON (RFC 8785) as text: the very bytes that were hashed. */
export interface Entry {
  readonly seq: number
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string
  readonly type: string
  readonly lease: string | null
  readonly data: string
  /** Hex SHA-256 over this entry and its predecessor's hash. */
  readonly hash: string
  /** Hex HMAC-SHA-256 of `hash`: without the key, a rewritten chain cannot pass for the old one. */
  readonly mac: string
}

/** The newest entry, as signed. */
export interface Head {
  readonly seq: number
  readonly hash: string
}

/** A head with the time and our signature (Ed25519, base64url). */
export interface SignedHead extends Head {
  readonly at: string
  readonly signature: string
}
