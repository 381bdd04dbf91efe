import type { ClientFrame, DaemonFrame } from '../api/session.ts'
import type { LeaseView } from '../api/types.ts'
import type { BrokerError } from '../errors.ts'
import type { LineEvents, SessionLine } from './session-line.ts'

export type LeaseFrame = Extract<DaemonFrame, { type: 'lease' }>

/** The broker that a session is held with: how it is reached, and what can be done when it is away. */
export interface FarEnd {
  /** For people: `the daemon`, or which server. */
  readonly name: string
  /** Where its own words are, as a next step. */
  readonly logs: string
  /** Opens a line and sends the first frame on it. Rejects when there is nobody, or with what it refused with. */
  open(events: LineEvents, first: ClientFrame, timeoutMs: number): Promise<SessionLine>
  /**
   * After a line that did not open: resolves when it is worth another try. Throws what is to be told
   * when it is not. `attempt` counts from 0.
   */
  revive(error: unknown, attempt: number): Promise<void>
  /** The lease is ours. */
  holds(frame: LeaseFrame): void
  /** With every ping, while the line is up: the time to see who answers there. */
  watch(pid: number): void
  /** While a lease is made and nothing is heard. False: nobody is there any more. */
  isAlive(): Promise<boolean>
  /** Ends one that was there and hangs, if it is one that we could start again. */
  clear(pid: number): Promise<void>
  /** Before a broken line is taken up again. */
  prepare(remainingMs: number): Promise<void>
  /** Between two tries to take it up. `attempt` counts from 1. */
  pauseMs(attempt: number): number
  /** Replaces one that is older than we are, where the lease survives that. True if it did. */
  renew(frame: LeaseFrame): Promise<boolean>
  /** The lease as it is now; `undefined` if it does not tell. */
  leaseAt(id: string): Promise<LeaseView | undefined>
  /** Asks until the lease has ended, which the broker does by itself. `undefined` if no more wanted. */
  whenEnded(
    lease: LeaseView,
    wanted: (latest: LeaseView | undefined) => boolean,
  ): Promise<LeaseView | undefined>
  /** It did not come back in time. */
  gone(lease: LeaseView, cause: unknown): BrokerError
  /** After that, and after the command: one more try to end the lease. `undefined` if that failed. */
  lastTry(lease: LeaseView): Promise<LeaseView | undefined>
}
