import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { RouteName } from '../../api/routes.ts'
import type { Context } from '../../broker/context.ts'
import type { Lease } from '../../core/lease.ts'
import { hasEnded } from '../../core/transitions.ts'
import type { LeaseId } from '../../lib/ids.ts'
import type { Standing } from './standing.ts'

export interface MetricsTerms {
  readonly context: Context
  readonly standing: Standing
  /** Milliseconds of a clock that is never set back. */
  readonly monotonic: () => number
  readonly relayed: () => number
}

/** Ends that are waited for; of more than these the time is not measured. */
const MOST_ENDINGS = 10_000
/** Ends that were measured a moment ago: whoever asks for one again does not make it two. */
const MOST_MEASURED = 2000
const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600]

/**
 * What Prometheus scrapes. Every label is a name of ours or of the administrator's: none that a stranger
 * can choose, no principal, nothing secret.
 */
export class Metrics {
  readonly #terms: MetricsTerms
  readonly #registry = new Registry()
  readonly #lag = monitorEventLoopDelay({ resolution: 20 })
  readonly #endings = new Map<LeaseId, number>()
  readonly #measured = new Set<LeaseId>()
  readonly #exchanges = this.#counter('broker_exchanges_total', 'Exchanges', ['outcome', 'reason'])
  readonly #replays = this.#counter('broker_token_replay_total', 'Identity tokens used again')
  readonly #refused = this.#counter('broker_refused_total', 'Strangers turned away', ['what'])
  readonly #requests = this.#counter('broker_http_requests_total', 'Requests', ['route', 'status'])
  readonly #revocations = new Histogram({
    name: 'broker_revocation_seconds',
    help: 'From the recorded decision to end a lease to its confirmed end',
    buckets: SECONDS,
    registers: [this.#registry],
  })
  readonly #leases = this.#gauge('broker_leases', 'Grants of live leases', [
    'state',
    'environment',
    'provider',
  ])
  readonly #overdue = this.#gauge('broker_overdue_leases', 'Ends due for a minute, not confirmed')
  readonly #oldest = this.#gauge('broker_oldest_overdue_seconds', 'The longest of them')
  readonly #writable = this.#gauge('broker_audit_writable', '1 when the last try was recorded')
  readonly #head = this.#gauge('broker_audit_head_seq', 'Number of the newest signed audit entry')
  readonly #relayed = this.#gauge('broker_relayed_connections', 'Connections to proxies of leases')
  readonly #loop = this.#gauge('broker_event_loop_lag_seconds', 'Since the last scrape', ['of'])

  constructor(terms: MetricsTerms) {
    this.#terms = terms
    this.#lag.enable()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  answered(route: RouteName | null, status: number): void {
    this.#requests.inc({ route: route ?? 'none', status: String(status) })
  }

  /** `outcome`: `done`, or the code of the refusal; `reason`: the true one, of our own list. */
  exchanged(outcome: string, reason: string): void {
    this.#exchanges.inc({ outcome, reason })
    if (outcome === 'token_replayed') this.#replays.inc()
  }

  turnedAway(what: 'connection' | 'key'): void {
    this.#refused.inc({ what })
  }

  /** A lease begins to end. */
  ending(lease: Lease): void {
    const { context, monotonic } = this.#terms
    // An end that was confirmed before is only asked for once more.
    if (lease.endedAt !== null && lease.endedAt < context.now() - 1000) return
    if (this.#endings.has(lease.id) || this.#measured.has(lease.id)) return
    if (this.#endings.size >= MOST_ENDINGS) return
    this.#endings.set(lease.id, monotonic())
    if (hasEnded(lease.state)) this.#ended(lease.id)
    context.revoking.get(lease.id)?.then(
      ({ id, state }) => hasEnded(state) && this.#ended(id),
      () => {},
    )
  }

  async text(): Promise<string> {
    await this.#collect()
    return this.#registry.metrics()
  }

  close(): void {
    this.#lag.disable()
    this.#registry.clear()
  }

  #ended(id: LeaseId): void {
    const began = this.#endings.get(id)
    if (began === undefined) return
    this.#endings.delete(id)
    this.#measured.add(id)
    if (this.#measured.size > MOST_MEASURED)
      this.#measured.delete(this.#measured.values().next().value ?? id)
    this.#revocations.observe((this.#terms.monotonic() - began) / 1000)
  }

  async #collect(): Promise<void> {
    const { standing, relayed } = this.#terms
    const { read } = this.#terms.context.store
    const looked = await standing.look()
    this.#overdue.set(looked.overdue)
    this.#oldest.set(looked.oldestMs / 1000)
    this.#writable.set(looked.auditWritable ? 1 : 0)
    this.#head.set((await read.head())?.seq ?? 0)
    this.#relayed.set(relayed())
    this.#leases.reset()
    for (const { count, ...labels } of await read.liveGrants()) this.#leases.set(labels, count)
    await this.#confirmEndings()
    this.#setLag()
  }

  /** Ends that a later try confirmed: as exact as the time between two scrapes. */
  async #confirmEndings(): Promise<void> {
    for (const id of [...this.#endings.keys()]) {
      const state = await this.#terms.context.store.read.state(id)
      if (state && hasEnded(state)) this.#ended(id)
    }
  }

  #setLag(): void {
    this.#loop.set({ of: 'mean' }, seconds(this.#lag.mean))
    this.#loop.set({ of: 'p99' }, seconds(this.#lag.percentile(99)))
    this.#loop.set({ of: 'max' }, seconds(this.#lag.max))
    this.#lag.reset()
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[] = []): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #gauge<T extends string>(name: string, help: string, labelNames: T[] = []): Gauge<T> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] })
  }
}

/** Of nanoseconds; 0 where nothing was measured yet. */
function seconds(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0
}
