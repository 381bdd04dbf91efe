import type { RelayView } from '../api/session.ts'
import type { ApprovalView, LeaseView, ProxyView, TaskPlaceView } from '../api/types.ts'
import type { BrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'
import type { Secret } from '../lib/secret.ts'
import type { Caller, Environment } from './caller.ts'

export interface SessionPlace {
  readonly caller: Caller
  readonly home: Home
  readonly env: Environment
  readonly distFolder: string
}

export interface SessionEvents {
  /** The request is on its way: the time for work that need not wait for the answer. */
  asked(): void
  /** A person has to decide before anything is made; until then there is nothing to do but wait. */
  pending(approval: ApprovalView): void
  /** The lease ended before the task did (TTL, revoked). Told once. */
  endedEarly(lease: LeaseView | undefined): void
  /** The daemon went away and did not come back in time. Told once; the session is over. */
  gone(error: BrokerError): void
}

/** What the lease brings for the command. */
export interface Issued {
  readonly lease: LeaseView
  readonly variables: Secret<Readonly<Record<string, string>>>
  readonly proxy: ProxyView | null
  readonly place: TaskPlaceView | null
  /** Of a server, in place of both. */
  readonly relay: RelayView | null
}

export type TaskEnd = { readonly exitCode: number | null; readonly signal: string | null }

/** What became of the lease within `SESSION.confirmMs`. */
export type Outcome =
  | { readonly confirmed: true; readonly lease: LeaseView; readonly elapsedMs: number }
  | {
      readonly confirmed: false
      readonly lease: LeaseView
      /** Nobody was there to confirm it. */
      readonly away: boolean
    }
