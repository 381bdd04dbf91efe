import { lapseApprovals } from '../broker/approval/lapse.ts'
import type { Context } from '../broker/context.ts'
import { reconcile } from '../broker/reconcile.ts'
import { afterDrift, Drift, sweep } from '../broker/sweep.ts'
import { TIMING } from '../core/deadlines.ts'

/**
 * The broker's only clock work: one short tick against stored deadlines. No timer per lease: Node
 * fires a `setTimeout` of more than 24.8 days at once, and timers stand still while a laptop sleeps.
 */
export class Ticker {
  readonly #context: Context
  readonly #monotonic: () => number
  readonly #onTick: () => Promise<void>
  readonly #drift: Drift
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> = Promise.resolve()
  #reconciledAt = Number.NEGATIVE_INFINITY
  #reconciling = false

  constructor(context: Context, monotonic: () => number, onTick: () => Promise<void>) {
    this.#context = context
    this.#monotonic = monotonic
    this.#onTick = onTick
    this.#drift = new Drift(context.now(), monotonic())
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.tick())
    }, TIMING.tickMs)
  }

  /** Never throws: a tick that failed is made good by the next one. */
  async tick(): Promise<void> {
    try {
      const drift = this.#drift.look(this.#context.now(), this.#monotonic())
      if (drift !== 0) await afterDrift(this.#context, drift)
      await this.#lapse()
      await sweep(this.#context)
      await this.#context.refusals.flush()
      this.#reconcileInTurn(drift !== 0)
      await this.#onTick()
    } catch (error) {
      this.#context.log.error('a tick failed', error)
    }
  }

  /** Before the sweep, which would find the leases that wait; but nothing of it may keep a lease alive. */
  async #lapse(): Promise<void> {
    try {
      await lapseApprovals(this.#context)
    } catch (error) {
      this.#context.log.error('approvals could not be lapsed', error)
    }
  }

  /** Every ten minutes, at the start, and after a sleep; beside the ticks, since it may take long. */
  #reconcileInTurn(now: boolean): void {
    const at = this.#monotonic()
    if (this.#reconciling || (!now && at - this.#reconciledAt < TIMING.reconcileMs)) return
    this.#reconciling = true
    this.#reconciledAt = at
    Promise.all([reconcile(this.#context), forgetOldKeys(this.#context)])
      .catch((error: unknown) => this.#context.log.error('reconciling failed', error))
      .finally(() => {
        this.#reconciling = false
      })
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer)
    await this.#running
  }
}

/**
 * An `Idempotency-Key` is remembered for a day: longer than any client retries. An identity token that was
 * used is remembered for as long as anybody accepts it, and a day more: a clock that was wrong for a while
 * must not make it good again.
 */
async function forgetOldKeys(context: Context): Promise<void> {
  await context.store.write(async (writer) => {
    const dayAgo = context.now() - 86_400_000
    await writer.forgetBefore(dayAgo)
    await writer.forgetExchanges(dayAgo)
  })
}
