import type { Context } from '../../broker/context.ts'
import type { LeaseId } from '../../lib/ids.ts'

/** Why a server should get no work right now. */
export type Unready =
  | 'starting'
  | 'draining'
  | 'audit_not_writable'
  | 'no_reserve'
  | 'revocations_overdue'

/** What was found at one look. */
export interface Looked {
  readonly auditWritable: boolean
  readonly hasReserve: boolean
  /** Leases whose end was due a minute ago and is not confirmed. */
  readonly overdue: number
  /** How long the one that has waited longest. Milliseconds. */
  readonly oldestMs: number
}

/** Between two looks, however often we are asked. */
const FRESH_MS = 5000
const OVERDUE_MS = 60_000
const MOST = 500

/** How the server stands: looked at when someone asks, and not more often than every 5 s. */
export class Standing {
  readonly #context: Context
  readonly #monotonic: () => number
  #looked: Promise<Looked> | null = null
  #at = Number.NEGATIVE_INFINITY

  constructor(context: Context, monotonic: () => number) {
    this.#context = context
    this.#monotonic = monotonic
  }

  /** Never throws. */
  look(): Promise<Looked> {
    const now = this.#monotonic()
    if (!this.#looked || now - this.#at >= FRESH_MS) {
      this.#at = now
      this.#looked = this.#lookNow()
    }
    return this.#looked
  }

  async unready(): Promise<readonly Unready[]> {
    const { auditWritable, hasReserve, overdue } = await this.look()
    return [
      ...(auditWritable ? [] : (['audit_not_writable'] as const)),
      ...(hasReserve ? [] : (['no_reserve'] as const)),
      ...(overdue > 0 ? (['revocations_overdue'] as const) : []),
    ]
  }

  async #lookNow(): Promise<Looked> {
    const auditWritable = await this.#tryWriting()
    const waits = await this.#waits().catch(() => [Number.POSITIVE_INFINITY])
    return {
      auditWritable,
      hasReserve: this.#context.store.hasReserve(),
      overdue: waits.length,
      oldestMs: Math.max(0, ...waits),
    }
  }

  /** The audit log and this stand in one file, and are synced by the same commit. */
  async #tryWriting(): Promise<boolean> {
    const { store, now, log } = this.#context
    try {
      await store.write((writer) => writer.saveSetting('written_at', String(now())))
      return true
    } catch (error) {
      log.error('the audit log cannot be written', error)
      return false
    }
  }

  /** How long each overdue lease has waited. Milliseconds. */
  async #waits(): Promise<number[]> {
    const { read } = this.#context.store
    const now = this.#context.now()
    const due = new Set(await read.due(now - OVERDUE_MS, MOST))
    const unsettled = await read.unsettled(MOST, '')
    const ids = new Set<LeaseId>([...due, ...unsettled])
    const waits = await Promise.all(
      [...ids].map((id) => this.#waitOf(id, now, due.has(id) ? OVERDUE_MS : 0)),
    )
    return waits.filter((wait) => wait >= OVERDUE_MS)
  }

  /**
   * Since its first try failed; or, where nobody has tried, since its time was over, but not less than
   * `least`. One that its provider lets expire is not late: nothing more can be done.
   */
  async #waitOf(id: LeaseId, now: number, least: number): Promise<number> {
    const lease = await this.#context.store.read.lease(id)
    if (!lease) return 0
    const { state, grants, deliveredAt, ackDeadline, expiresAt } = lease
    if (state === 'active') {
      return now - (deliveredAt === null ? Math.min(ackDeadline, expiresAt) : expiresAt)
    }
    if (state !== 'revoking' && state !== 'stuck') return 0
    const failing = grants.flatMap(({ firstFailedAt }) => firstFailedAt ?? [])
    return failing.length > 0 ? now - Math.min(...failing) : least
  }
}
