import { type ClientFrame, type DaemonFrame, SESSION } from '../api/session.ts'
import type { LeaseRequest, LeaseView } from '../api/types.ts'
import type { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import type { FarEnd, LeaseFrame } from './far-end.ts'
import { type Frame, type FrameWait, waitFor } from './frame-wait.ts'
import { Heartbeat } from './heartbeat.ts'
import { lost } from './lost.ts'
import { monotonic } from './monotonic.ts'
import { isLeaseOver, recover } from './recovery.ts'
import type { SessionLine } from './session-line.ts'
import type { Issued, Outcome, SessionEvents, TaskEnd } from './session-terms.ts'

type Phase = 'asking' | 'held' | 'ending' | 'over'

/** To a daemon that is there, the answer to the first line takes well under a millisecond. */
const ANSWER_MS = 5000

/**
 * A lease and the line it hangs on. The line may break: we come back to the same broker or to the one
 * that is started in its place, and prove with the session's secret that it is us.
 */
export class LeaseSession {
  readonly #far: FarEnd
  readonly #events: SessionEvents
  readonly #heartbeat: Heartbeat
  #phase: Phase = 'asking'
  #line: SessionLine | undefined
  #waiting: Pick<FrameWait, 'take' | 'fail'> | undefined
  #pending = false
  #frame: LeaseFrame | undefined
  #lease: LeaseView | undefined
  #toldEarly = false
  #started: { readonly pid: number; received: boolean } | undefined
  #recovery: Promise<void> | undefined
  #ending: ClientFrame | undefined
  /** Why there is nothing to come back to. */
  #over: Error | undefined

  constructor(far: FarEnd, events: SessionEvents) {
    this.#far = far
    this.#events = events
    this.#heartbeat = new Heartbeat({
      ping: () => this.#ping(),
      silent: () => this.#silent(),
    })
  }

  /**
   * Asks for the lease and returns it with the child's variables. Starts the daemon of this machine if there is none.
   * A person's decision is waited for as long as the daemon does. Throws what the daemon refused with;
   * nothing is held then.
   */
  async ask(request: LeaseRequest): Promise<Issued> {
    this.#heartbeat.start()
    const frame = await this.#connect({ type: 'request', request })
    this.#pending = false
    this.#far.holds(frame)
    this.#frame = { ...frame, variables: {} } // they go to the child and are not kept
    this.#lease = frame.lease
    // A daemon older than this version knows of neither.
    return {
      lease: frame.lease,
      variables: new Secret(frame.variables),
      proxy: frame.proxy ?? null,
      place: frame.place ?? null,
      relay: frame.relay ?? null,
    }
  }

  /**
   * Confirms receipt. Only after this may the child be spawned. Replaces a daemon older than we are,
   * unless the lease has a proxy, which would end with it.
   */
  async bind(): Promise<void> {
    this.#send({ type: 'ack' })
    await this.#next('bound')
    this.#phase = 'held'
    if (await this.#far.renew(this.#held())) await this.#recovery
  }

  started(pid: number): void {
    this.#started = { pid, received: false }
    this.#send({ type: 'started', pid })
  }

  /** Ends the lease and waits for the confirmation, at most `SESSION.confirmMs` or until `cut`. */
  async end(how: TaskEnd, cut: Promise<void>): Promise<Outcome> {
    const began = monotonic()
    this.#phase = 'ending'
    this.#ending = { type: 'end', ...how }
    this.#send(this.#ending)
    const lease = this.#held().lease
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), SESSION.confirmMs)
      cut.then(() => resolve(undefined))
    })
    const ended = this.#reachable() ? this.#next('ended') : Promise.reject(this.#over)
    const answered = ended.catch((error: unknown) => this.#lookUp(error, began))
    const frame = await Promise.race([answered, late])
    clearTimeout(timer)
    const away = this.#line === undefined && !isLeaseOver(this.#over)
    this.close()
    if (frame === undefined) return { confirmed: false, lease: this.#lease ?? lease, away }
    return { confirmed: true, lease: frame.lease, elapsedMs: frame.elapsedMs }
  }

  /** Lets the lease outlive us. Throws when the daemon did not confirm it: the lease may then end. */
  async detach(): Promise<LeaseView> {
    this.#ending = { type: 'detach' }
    this.#send(this.#ending)
    await this.#next('detached', SESSION.confirmMs)
    this.close()
    return this.#held().lease
  }

  /** After `gone` was told. The lease if it could be ended all the same. */
  async lastTry(): Promise<LeaseView | undefined> {
    return this.#far.lastTry(this.#lease ?? this.#held().lease)
  }

  leaseNow(): Promise<LeaseView | undefined> {
    return this.#far.leaseAt(this.#held().lease.id)
  }

  /** Lets go without a word; the daemon ends the lease. */
  close(): void {
    this.#phase = 'over'
    this.#heartbeat.stop()
    this.#line?.close()
  }

  #reachable(): boolean {
    return this.#line !== undefined || this.#recovery !== undefined
  }

  #held(): LeaseFrame {
    if (this.#frame === undefined) throw new TypeError('there is no lease yet')
    return this.#frame
  }

  #send(frame: ClientFrame): void {
    this.#line?.send(frame)
  }

  #next<T extends DaemonFrame['type']>(type: T, timeoutMs?: number): Promise<Frame<T>> {
    const wait = waitFor(type, timeoutMs)
    this.#waiting = wait
    return wait.frame
  }

  #take(frame: DaemonFrame): void {
    this.#heartbeat.heard()
    if (frame.type === 'pong' && this.#started) this.#started.received = true
    if (frame.type === 'pending' && this.#phase === 'asking') {
      this.#pending = true
      this.#events.pending(frame.approval)
    }
    if (frame.type === 'notice') {
      this.#lease = frame.lease
      if (this.#phase === 'held') this.#tellEarly(frame.lease)
    }
    this.#waiting?.take(frame)
  }

  #tellEarly(lease: LeaseView | undefined): void {
    if (this.#toldEarly) return
    this.#toldEarly = true
    this.#events.endedEarly(lease)
  }

  async #connect(first: ClientFrame): Promise<LeaseFrame> {
    for (let attempt = 0; ; attempt++) {
      let open = false
      try {
        const answer = this.#next('lease')
        await this.#open(first, () => this.#events.asked())
        open = true
        return await answer
      } catch (error) {
        // Whatever was made for us is ended; asking again would be another request.
        if (open) throw error
        await this.#far.revive(error, attempt)
      }
    }
  }

  async #open(first: ClientFrame, sent?: () => void): Promise<void> {
    const mine: SessionLine = await this.#far.open(
      {
        sent: () => sent?.(),
        frame: (frame) => this.#take(frame),
        closed: () => {
          if (this.#line === mine) this.#closed()
        },
      },
      first,
      ANSWER_MS,
    )
    this.#line = mine
    this.#heartbeat.heard()
  }

  #closed(): void {
    this.#line = undefined
    if (this.#phase === 'asking' || this.#recovery !== undefined) {
      this.#waiting?.fail(lost(this.#far, this.#pending))
    } else if (this.#phase !== 'over') this.#recover(false)
  }

  #ping(): void {
    if (this.#recovery !== undefined) return
    this.#far.watch(this.#frame?.daemon.pid ?? 0)
    this.#send({ type: 'ping' })
  }

  #silent(): void {
    if (this.#phase === 'over' || this.#recovery !== undefined) return
    if (this.#phase === 'asking') this.#askWhetherAlive()
    else this.#recover(true)
  }

  #askWhetherAlive(): void {
    this.#far.isAlive().then((alive) => {
      if (!alive && this.#phase === 'asking') this.#line?.close()
    })
  }

  #recover(hung: boolean): void {
    const broken = this.#line
    this.#line = undefined
    broken?.close()
    this.#recovery ??= this.#comeBack(hung).finally(() => {
      this.#recovery = undefined
    })
  }

  async #comeBack(hung: boolean): Promise<void> {
    const found = await recover({
      elapsed: () => this.#heartbeat.elapsed(),
      wanted: () => this.#phase !== 'over',
      clear: async () => {
        if (hung) await this.#far.clear(this.#held().daemon.pid)
      },
      resume: (remainingMs) => this.#resume(remainingMs),
      pauseMs: (attempt) => this.#far.pauseMs(attempt),
    })
    if (found.kind === 'ended') await this.#noLonger(found.error)
    if (found.kind !== 'gone') return
    const error = this.#far.gone(this.#lease ?? this.#held().lease, found.last)
    this.#waiting?.fail(error)
    if (this.#phase !== 'held') return
    this.close()
    this.#events.gone(error)
  }

  async #resume(remainingMs: number): Promise<void> {
    await this.#far.prepare(remainingMs)
    const { lease, secret } = this.#held()
    const waiting = this.#waiting
    try {
      const answer = this.#next('resumed', ANSWER_MS)
      await this.#open({ type: 'resume', lease: lease.id, secret })
      const { daemon } = await answer
      this.#frame = { ...this.#held(), daemon }
    } catch (error) {
      const broken = this.#line
      this.#line = undefined
      broken?.close()
      throw error
    } finally {
      this.#waiting = waiting
    }
    // What was on its way when the line broke may not have arrived.
    if (this.#started && !this.#started.received) {
      this.#started.received = true // said twice is enough
      this.#send({ type: 'started', pid: this.#started.pid })
    }
    if (this.#ending) this.#send(this.#ending)
  }

  /** The daemon is back and does not know us any more: the lease has ended, and why it may tell. */
  async #noLonger(error: BrokerError): Promise<void> {
    this.#over = error
    this.#heartbeat.stop()
    const lease = await this.leaseNow()
    this.#lease = lease ?? this.#lease
    if (this.#phase === 'held') this.#tellEarly(lease)
    this.#waiting?.fail(error)
  }

  /** The line is lost while ending: the daemon ends the lease by itself, and tells how far it is. */
  async #lookUp(error: unknown, began: number): Promise<Frame<'ended'> | undefined> {
    if (!isLeaseOver(error)) return undefined
    const lease = await this.#far.whenEnded(this.#lease ?? this.#held().lease, (latest) => {
      this.#lease = latest ?? this.#lease
      return this.#phase === 'ending'
    })
    return lease && { type: 'ended', lease, elapsedMs: Math.round(monotonic() - began) }
  }
}
