import { type ClientFrame, type DaemonFrame, SESSION } from '../api/session.ts'
import type { LeaseRequest, LeaseView } from '../api/types.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'
import { Secret } from '../lib/secret.ts'
import { AwakeClock } from './awake-clock.ts'
import type { Caller, Environment } from './caller.ts'
import { ensureDaemon, probe } from './daemon-process.ts'
import { isAway, isCutOff } from './exchange.ts'
import { garbled, hasCode, outOfReach } from './failure.ts'
import { type Frame, type FrameWait, waitFor } from './frame-wait.ts'
import { killHung } from './hung-daemon.ts'
import { leaseAt } from './lease-at.ts'
import { monotonic } from './monotonic.ts'
import { identityOf } from './process-identity.ts'
import { openLine, type SessionLine } from './session-line.ts'
import { isOlder, VERSION } from './version.ts'

export interface SessionPlace {
  readonly caller: Caller
  readonly home: Home
  readonly env: Environment
  readonly distFolder: string
}

export interface SessionEvents {
  /** The request is on its way: the time for work that need not wait for the answer. */
  asked(): void
  /** The lease ended before the task did (TTL, revoked). Told once. */
  endedEarly(lease: LeaseView | undefined): void
  /** The daemon went away and did not come back in time. Told once; the session is over. */
  gone(error: BrokerError): void
}

export type TaskEnd = { readonly exitCode: number | null; readonly signal: string | null }

/** What became of the lease within `SESSION.confirmMs`. */
export type Outcome =
  | { readonly confirmed: true; readonly lease: LeaseView; readonly elapsedMs: number }
  | { readonly confirmed: false; readonly lease: LeaseView }

type Phase = 'asking' | 'held' | 'ending' | 'over'
type LeaseFrame = Extract<DaemonFrame, { type: 'lease' }>

/** To a daemon that is there, the answer to the first line takes well under a millisecond. */
const ANSWER_MS = 5000
const RETRY_MS = 60
const POLL_MS = 250

/**
 * A lease and the line it hangs on. The line may break: we come back to the same daemon or to the one
 * that we start in its place, and prove with the session's secret that it is us.
 */
export class LeaseSession {
  readonly #place: SessionPlace
  readonly #events: SessionEvents
  readonly #clock: AwakeClock
  #phase: Phase = 'asking'
  #line: SessionLine | undefined
  #waiting: Pick<FrameWait, 'take' | 'fail'> | undefined
  #frame: LeaseFrame | undefined
  #lease: LeaseView | undefined
  #toldEarly = false
  #lastHeard = 0
  #lastPing = 0
  #started: { readonly pid: number; received: boolean } | undefined
  #identity: string | undefined
  #recovery: Promise<void> | undefined
  #ending: ClientFrame | undefined
  /** Why there is nothing to come back to. */
  #over: Error | undefined

  constructor(place: SessionPlace, events: SessionEvents) {
    this.#place = place
    this.#events = events
    this.#clock = new AwakeClock(() => this.#tick())
  }

  /**
   * Asks for the lease and returns it with the child's variables. Starts the daemon if there is none.
   * Throws what the daemon refused with; nothing is held then.
   */
  async ask(
    request: LeaseRequest,
  ): Promise<{ lease: LeaseView; variables: Secret<Readonly<Record<string, string>>> }> {
    this.#clock.start()
    const frame = await this.#connect({ type: 'request', request })
    this.#frame = { ...frame, variables: {} } // they go to the child and are not kept
    this.#lease = frame.lease
    return { lease: frame.lease, variables: new Secret(frame.variables) }
  }

  /** Confirms receipt. Only after this may the child be spawned. Replaces a daemon older than we are. */
  async bind(): Promise<void> {
    this.#send({ type: 'ack' })
    await this.#next('bound')
    this.#phase = 'held'
    const { caller, home, env } = this.#place
    if (caller.inTask || !isOlder(this.#frame?.daemon.version ?? '', VERSION)) return
    await ensureDaemon(home, env, this.#place)
    await this.#recovery
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
    this.close()
    if (frame === undefined) return { confirmed: false, lease: this.#lease ?? lease }
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

  /** Lets go without a word; the daemon ends the lease. */
  close(): void {
    this.#phase = 'over'
    this.#clock.stop()
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
    this.#lastHeard = this.#clock.elapsed()
    if (frame.type === 'pong' && this.#started) this.#started.received = true
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
    const { caller, home, env } = this.#place
    for (let attempt = 0; ; attempt++) {
      let open = false
      try {
        const answer = this.#next('lease')
        await this.#open(first, () => this.#events.asked())
        open = true
        return await answer
      } catch (error) {
        if (caller.inTask && isAway(error)) throw outOfReach(caller.socket, error)
        if (open || caller.inTask || attempt === 2) throw error
        if (!isAway(error) && !isCutOff(error) && !hasCode(error, 'daemon_unreachable')) throw error
        await ensureDaemon(home, env, this.#place)
      }
    }
  }

  async #open(first: ClientFrame, sent?: () => void): Promise<void> {
    const mine: SessionLine = await openLine(
      this.#place.caller,
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
    this.#lastHeard = this.#clock.elapsed()
  }

  #closed(): void {
    this.#line = undefined
    if (this.#phase === 'asking') this.#waiting?.fail(lostWhileAsking())
    else if (this.#recovery !== undefined) this.#waiting?.fail(lostWhileAsking())
    else if (this.#phase !== 'over') this.#recover(false)
  }

  #tick(): void {
    if (this.#phase === 'over' || this.#recovery !== undefined) return
    const now = this.#clock.elapsed()
    if (now - this.#lastHeard > SESSION.silenceMs) {
      if (this.#phase === 'asking') this.#askWhetherAlive()
      else this.#recover(true)
      return
    }
    if (now - this.#lastPing < SESSION.pingMs) return
    this.#lastPing = now
    this.#identity ??= identityOf(this.#frame?.daemon.pid ?? 0)
    this.#send({ type: 'ping' })
  }

  /** A mint may take its time, and frames wait behind it; a daemon that is alive still greets. */
  #askWhetherAlive(): void {
    this.#lastHeard = this.#clock.elapsed()
    if (this.#place.caller.inTask) return
    probe(this.#place.home).then((found) => {
      if (typeof found === 'object' || this.#phase !== 'asking') return
      this.#line?.close()
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
    const deadline = this.#clock.elapsed() + SESSION.returnMs
    let last: unknown
    if (hung && !this.#place.caller.inTask) {
      await killHung(this.#place.home, this.#held().daemon.pid, this.#identity)
    }
    while (this.#clock.elapsed() < deadline && this.#phase !== 'over') {
      try {
        return await this.#resume(deadline - this.#clock.elapsed())
      } catch (error) {
        last = error
        if (hasCode(error, 'lease_ended') || hasCode(error, 'denied')) return this.#noLonger(error)
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    if (this.#phase === 'over') return
    const error = neverCameBack(last)
    this.#waiting?.fail(error)
    if (this.#phase === 'held') {
      this.close()
      this.#events.gone(error)
    }
  }

  async #resume(remainingMs: number): Promise<void> {
    const { caller, home, env, distFolder } = this.#place
    if (!caller.inTask) await ensureDaemon(home, env, { distFolder, deadlineMs: remainingMs })
    const { lease, secret } = this.#held()
    const waiting = this.#waiting
    try {
      const answer = this.#next('resumed', ANSWER_MS)
      await this.#open({ type: 'resume', lease: lease.id, secret })
      const { daemon } = await answer
      this.#frame = { ...this.#held(), daemon }
      this.#identity = undefined
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

  /** The daemon is back and does not know us any more: the lease has ended. */
  #noLonger(error: unknown): void {
    this.#over = isBrokerError(error) ? error : garbled()
    this.#clock.stop()
    if (this.#phase === 'held') this.#tellEarly(undefined)
    this.#waiting?.fail(this.#over)
  }

  /** The line is lost while ending: the daemon ends the lease by itself, and tells how far it is. */
  async #lookUp(error: unknown, began: number): Promise<Frame<'ended'> | undefined> {
    if (!hasCode(error, 'lease_ended') && !hasCode(error, 'denied')) return undefined
    while (this.#phase === 'ending') {
      const lease = await leaseAt(this.#place.caller, this.#held().lease.id)
      this.#lease = lease ?? this.#lease
      if (lease?.endedAt) {
        return { type: 'ended', lease, elapsedMs: Math.round(monotonic() - began) }
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    return undefined
  }
}

function lostWhileAsking(): BrokerError {
  return new BrokerError('daemon_unreachable', 'the daemon went away while it made the lease', {
    hint: 'nothing ran, and what it made is revoked; try again, and see broker daemon logs',
  })
}

function neverCameBack(cause: unknown): BrokerError {
  return new BrokerError('daemon_unreachable', 'the daemon went away and did not come back', {
    hint: 'see broker daemon logs; the lease ends when a daemon starts again, or at its own time',
    cause,
  })
}
