import type { ClientFrame } from '../api/session.ts'
import type { LeaseView } from '../api/types.ts'
import { BrokerError } from '../errors.ts'
import { ensureDaemon, probe } from './daemon-process.ts'
import { isAway, isCutOff } from './exchange.ts'
import { hasCode, outOfReach } from './failure.ts'
import type { FarEnd, LeaseFrame } from './far-end.ts'
import { killHung } from './hung-daemon.ts'
import { leaseAt } from './lease-at.ts'
import { identityOf } from './process-identity.ts'
import { type LineEvents, openLine, type SessionLine } from './session-line.ts'
import type { SessionPlace } from './session-terms.ts'
import { isOlder, VERSION } from './version.ts'

const RETRY_MS = 60
const POLL_MS = 250

/** The daemon of this machine. Outside of a task it is started when it is not there. */
export class LocalEnd implements FarEnd {
  readonly name = 'the daemon'
  readonly logs = 'see broker daemon logs'
  readonly #place: SessionPlace
  #watched: { readonly pid: number; readonly identity: string | undefined } | undefined

  constructor(place: SessionPlace) {
    this.#place = place
  }

  open(events: LineEvents, first: ClientFrame, timeoutMs: number): Promise<SessionLine> {
    return openLine(this.#place.caller, events, first, timeoutMs)
  }

  async revive(error: unknown, attempt: number): Promise<void> {
    const { caller, home, env } = this.#place
    if (caller.inTask) throw isAway(error) ? outOfReach(caller.socket, error) : error
    if (attempt === 2) throw error
    if (!isAway(error) && !isCutOff(error) && !hasCode(error, 'daemon_unreachable')) throw error
    await ensureDaemon(home, env, this.#place)
  }

  holds(): void {}

  watch(pid: number): void {
    if (this.#watched?.pid === pid) return
    this.#watched = { pid, identity: identityOf(pid) }
  }

  /** A mint may take its time, and frames wait behind it; a daemon that is alive still greets. */
  async isAlive(): Promise<boolean> {
    if (this.#place.caller.inTask) return true
    return typeof (await probe(this.#place.home)) === 'object'
  }

  async clear(pid: number): Promise<void> {
    const { caller, home } = this.#place
    const identity = this.#watched?.pid === pid ? this.#watched.identity : undefined
    if (!caller.inTask) await killHung(home, pid, identity)
  }

  async prepare(remainingMs: number): Promise<void> {
    const { caller, home, env, distFolder } = this.#place
    if (!caller.inTask) await ensureDaemon(home, env, { distFolder, deadlineMs: remainingMs })
  }

  pauseMs(): number {
    return RETRY_MS
  }

  async renew({ daemon, proxy }: LeaseFrame): Promise<boolean> {
    const { caller, home, env } = this.#place
    // A proxy would end with the daemon.
    if (caller.inTask || proxy || !isOlder(daemon.version, VERSION)) return false
    await ensureDaemon(home, env, this.#place)
    return true
  }

  leaseAt(id: string): Promise<LeaseView | undefined> {
    return leaseAt(this.#place.caller, id)
  }

  async whenEnded(
    { id }: LeaseView,
    wanted: (latest: LeaseView | undefined) => boolean,
  ): Promise<LeaseView | undefined> {
    for (;;) {
      const lease = await this.leaseAt(id)
      if (lease?.endedAt) return lease
      if (!wanted(lease)) return undefined
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  gone(_lease: LeaseView, cause: unknown): BrokerError {
    return new BrokerError('daemon_unreachable', 'the daemon went away and did not come back', {
      hint: 'see broker daemon logs; the lease ends when a daemon starts again, or at its own time',
      cause,
    })
  }

  /** The next daemon ends it before it does anything else. */
  async lastTry(): Promise<undefined> {}
}
