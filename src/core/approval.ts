import { type Random, timeSorted } from '../lib/ids.ts'
import type { Actor, Principal } from './lease.ts'
import type { Risk } from './risk.ts'

export type ApprovalId = `apr_${string}`

/**
 * `pending → approved → used`; `denied` or `lapsed` from pending, and from approved while unused.
 * Denied stays denied; used and lapsed never come back.
 */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'lapsed' | 'used'

/** The only arrows. The database refuses every other one too. */
export const APPROVAL_ARROWS: Readonly<Record<ApprovalState, readonly ApprovalState[]>> = {
  pending: ['approved', 'denied', 'lapsed'],
  approved: ['used', 'denied', 'lapsed'],
  denied: [],
  lapsed: [],
  used: [],
}

/** How the person proves that it is them who decides. */
export type Confirm = 'totp' | 'typed'

/** One thing a held request would touch, as the provider knows it. Names come from outside. */
export interface ApprovalTarget {
  readonly kind: string
  readonly id: string
  readonly name: string | null
  readonly environments: readonly { readonly id: string; readonly name: string | null }[]
  /** What goes with it, in words: "3 backups". */
  readonly notes: readonly string[]
  /** This lease itself changed the name: it may not be what it says. */
  readonly renamed: boolean
}

/** One pending or decided question to a person, as stored. Instants in milliseconds. No secret. */
export interface Approval {
  readonly id: ApprovalId
  /** `request`: one exact request at the proxy. `lease`: a lease before anything is minted. */
  readonly kind: 'request' | 'lease'
  readonly lease: string
  readonly environment: string
  readonly template: string
  readonly principal: Principal
  readonly actor: Actor
  /** The lease's, as the one who asked wrote it. */
  readonly reason: string | null
  /** Null for a lease. */
  readonly grant: string | null
  readonly provider: string | null
  readonly operations: readonly { readonly name: string; readonly risk: Risk }[]
  /** What would happen, in our words. */
  readonly summary: string
  readonly targets: readonly ApprovalTarget[]
  /** The rule that asks for it: `approve: volumeDelete`, `protected`, `approval: required`. */
  readonly rule: string
  readonly confirm: Confirm
  /** What has to be typed where `confirm` is `typed`: a target's name, or the environment's. */
  readonly typed: string
  /** Hex SHA-256 over all that it is bound to; nothing else can use it. */
  readonly binding: string
  readonly state: ApprovalState
  readonly createdAt: number
  readonly lapsesAt: number
  readonly decidedAt: number | null
  readonly decidedBy: string | null
  /** The reason given with `deny`. */
  readonly note: string | null
  readonly usedAt: number | null
}

/** All in milliseconds, and counts. */
export const APPROVAL = {
  lapsesMs: 600_000,
  maxPendingPerLease: 3,
  /** Leases of one principal that wait to be approved. */
  maxPendingLeases: 10,
  wrongCodes: 5,
  lockMs: 600_000,
} as const

/** Still worth something: undecided, or decided and not yet used. */
export function isOpen({ state }: Pick<Approval, 'state'>): boolean {
  return state === 'pending' || state === 'approved'
}

/** Its time is over, whether or not anybody has recorded that yet. */
export function isOver({ lapsesAt }: Pick<Approval, 'lapsesAt'>, now: number): boolean {
  return now >= lapsesAt
}

/** What has to be typed to enrol anew without a code of the authenticator that is lost. */
export const RESET_SENTENCE = 'replace the authenticator that approves'

export function newApprovalId(now: number, random: Random): ApprovalId {
  return `apr_${timeSorted(now, random)}`
}

export function isApprovalId(text: string): text is ApprovalId {
  return /^apr_[0-9a-hjkmnp-tv-z]{26}$/.test(text)
}
