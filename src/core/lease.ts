import type { LeaseId } from '../lib/ids.ts'
import type { Json, JsonObject } from '../lib/json.ts'
import type { Isolation } from './template.ts'
import type { CiRun } from './trust/run.ts'

/**
 * `requested → pending → intent → minting → active → revoking → revoked`, plus `denied`, `lapsed`,
 * `failed`, `expired`, `stuck` (design §5). `transitions.ts` holds the arrows.
 */
export type LeaseState =
  | 'requested'
  | 'pending'
  | 'intent'
  | 'minting'
  | 'active'
  | 'revoking'
  | 'stuck'
  | 'revoked'
  | 'expired'
  | 'failed'
  | 'denied'
  | 'lapsed'

/** A grant's own state; the lease's follows from its grants. */
export type GrantState =
  | 'minting'
  | 'active'
  | 'revoking'
  | 'stuck'
  | 'revoked'
  | 'expired'
  | 'failed'

/** May hold a working credential, or may still come to: what `broker tokens` lists. */
export const LIVE: readonly LeaseState[] = ['minting', 'active', 'revoking', 'stuck']

export const ENDED: readonly LeaseState[] = ['revoked', 'expired', 'failed', 'denied', 'lapsed']

/**
 * What a provider lets us promise. `named`: we choose the name first, so it can be deleted by name
 * after a crash. `listable`: found again by a label. `token-only`: only the token revokes itself.
 * `expiry-only`: dies at its own time ("possibly live until T", never "revoked"). `phantom`: ours,
 * dead the moment we say so.
 */
export type Capability = 'named' | 'listable' | 'token-only' | 'expiry-only' | 'phantom'

export type Mode = 'native' | 'proxied'

export type EndReason =
  | 'task_ended' // the session said so, or its socket closed
  | 'ttl'
  | 'revoked_by_operator'
  | 'not_acknowledged'
  | 'mint_unknown' // the mint was interrupted; cleaned up by name
  | 'mint_failed'
  | 'denied'
  | 'lapsed'
  | 'parent_ended'
  | 'never_started'
  | 'proxy_lost' // its proxy went with the daemon; the CA's key was in memory alone

export interface Principal {
  readonly kind: 'local' | 'oidc'
  readonly id: string
}

/** The CI run that a lease is for, as its issuer named it. */
export interface LeaseRun {
  /** The same for every token of one job: of each template it has one lease at a time. Null: not told. */
  readonly key: string | null
  readonly shown: CiRun
}

export interface Actor {
  readonly command: string | null
  readonly pid: number | null
}

/** One provider's part of a lease, as stored. Holds no secret. */
export interface Grant {
  readonly name: string
  readonly provider: string
  readonly connection: string | null
  readonly mode: Mode
  readonly capability: Capability
  readonly state: GrantState
  /** Exact operations granted, sorted. */
  readonly operations: readonly string[]
  /** Exact operations that a person has to approve one by one, sorted. Only where proxied. */
  readonly approvable: readonly string[]
  /** What revocation needs even if template, connection settings and code have changed since. */
  readonly recipe: JsonObject
  /** What the provider told us at mint: ids, never a secret. Null until minted. */
  readonly handle: Json
  readonly mintStartedAt: number | null
  readonly expiresAt: number | null
  readonly possiblyLiveUntil: number | null
  readonly attempts: number
  readonly firstFailedAt: number | null
  readonly lastError: string | null
  /** Things the receiver should know, e.g. that tables made later are not covered. */
  readonly notes: readonly string[]
  readonly requests: {
    readonly allowed: number
    readonly denied: number
    readonly approved: number
  }
}

/** Our record of one issuance for one task, as stored. All instants are milliseconds since the epoch. */
export interface Lease {
  readonly id: LeaseId
  readonly state: LeaseState
  readonly environment: string
  readonly template: { readonly name: string; readonly version: number; readonly sha256: string }
  readonly principal: Principal
  readonly actor: Actor
  readonly reason: string | null
  readonly isolation: Isolation
  readonly parent: LeaseId | null
  /** Null: it was not asked for by a CI job. */
  readonly run: LeaseRun | null
  readonly issuedAt: number
  /** Not after: the latest moment any of its credentials may work. */
  readonly expiresAt: number
  readonly deliveredAt: number | null
  /** Unacknowledged after this instant: revoked. */
  readonly ackDeadline: number
  readonly endedAt: number | null
  readonly endReason: EndReason | null
  readonly endNote: string | null
  /** It has a proxy of its own, which no other run of the daemon can bring back. */
  readonly proxied: boolean
  /** Keys that are not the lease's own, tried at known providers, newest last; at most 20 kept. */
  readonly foreignCredentials: readonly ForeignCredential[]
  readonly grants: readonly Grant[]
}

export interface ForeignCredential {
  readonly host: string
  /** Keyed, so that it identifies a key to us and to nobody else. */
  readonly fingerprint: string
  readonly times: number
  readonly lastAt: number
}
