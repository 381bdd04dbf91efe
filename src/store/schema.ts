import type { Generated } from 'kysely'

/** Tables as kysely sees them. Instants are milliseconds since the epoch; JSON stands as text. */
export interface Schema {
  leases: LeaseRow
  grants: GrantRow
  approvals: ApprovalRow
  audit: AuditRow
  audit_head: { id: number; seq: number; hash: string; at: string; signature: string }
  live_counts: { scope: string; live: number }
  connections: ConnectionRow
  configurations: {
    version: Generated<number>
    sha256: string
    text: string
    compiled: string
    applied_at: number
  }
  templates: {
    name: string
    version: number
    sha256: string
    definition: string
    applied_at: number
    current: number
  }
  settings: { name: string; value: string }
  exchanges: ExchangeRow
  sealed: { lease: string; purpose: string; text: string }
  idempotency: { key: string; caller: string; body: string; lease: string; at: number }
}

export interface LeaseRow {
  id: string
  state: string
  /** 1 while the lease is live: what `tokens` and the caps look at, by index. */
  live: number
  environment: string
  template_name: string
  template_version: number
  template_sha256: string
  principal_kind: string
  principal_id: string
  actor_command: string | null
  actor_pid: number | null
  reason: string | null
  isolation: string
  parent: string | null
  issued_at: number
  expires_at: number
  delivered_at: number | null
  ack_deadline: number
  ended_at: number | null
  end_reason: string | null
  end_note: string | null
  /** The next moment someone must look at this lease; null when it has ended. */
  due_at: number | null
  /** SHA-256 of the lease credential (`BROKER_HANDLE`). */
  handle_digest: string
  /** SHA-256 of the session's secret; null for a lease without a session. */
  session_digest: string | null
  /** The daemon run that holds the session. Another run's value means: it has to come back. */
  session_boot: string | null
  /** 1: it has a proxy of its own. */
  proxied: number
  foreign_credentials: string
  /** Unique with the template's name among leases that have not ended. */
  run_key: string | null
  run: string | null
}

export interface ExchangeRow {
  /** What makes the identity token this one and no other; not the token. */
  token: string
  lease: string
  /** SHA-256 of the `Idempotency-Key`. */
  key_digest: string | null
  /** SHA-256 of what was asked for. */
  request_digest: string | null
  keep_until: number
}

export interface GrantRow {
  lease: string
  name: string
  position: number
  provider: string
  connection: string | null
  mode: string
  capability: string
  state: string
  operations: string
  approvable: string
  recipe: string
  handle: string
  mint_started_at: number | null
  expires_at: number | null
  possibly_live_until: number | null
  attempts: number
  first_failed_at: number | null
  last_error: string | null
  notes: string
  /** The three are only ever incremented: a save of the grant would undo what was counted meanwhile. */
  allowed: number
  denied: number
  approved: number
}

export interface ApprovalRow {
  id: string
  kind: string
  lease: string
  environment: string
  template: string
  principal_kind: string
  principal_id: string
  actor_command: string | null
  actor_pid: number | null
  reason: string | null
  grant_name: string | null
  provider: string | null
  operations: string
  summary: string
  targets: string
  rule: string
  confirm: string
  typed: string
  binding: string
  state: string
  created_at: number
  lapses_at: number
  decided_at: number | null
  decided_by: string | null
  note: string | null
  used_at: number | null
}

export interface AuditRow {
  seq: number
  at: string
  type: string
  lease: string | null
  data: string
  hash: string
  mac: string
}

export interface ConnectionRow {
  name: string
  provider: string
  settings: string
  /** Where its secret lies in the vault; a new one for each secret, so that a failed replacement loses nothing. */
  vault_key: string | null
  /** The address the secret belongs to; null where the provider has none. */
  origin: string | null
  created_at: number
  updated_at: number
}
