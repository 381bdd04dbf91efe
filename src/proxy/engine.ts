import type { Dialer } from './dial.ts'
import type { EngineRefusal, Gate, Outcome } from './gate.ts'
import type { Limits } from './limits.ts'
import type { Refused } from './refusal.ts'
import type { Channel } from './request-head.ts'
import type { Sockets } from './sockets.ts'
import type { UnderWay } from './under-way.ts'
import type { Upstreams } from './upstreams.ts'

/** What the parts of one lease's proxy share. */
export interface Engine {
  readonly lease: string
  readonly gate: Gate
  readonly limits: Limits
  readonly sockets: Sockets
  readonly dialer: Dialer
  readonly upstreams: Upstreams
  /** Fires once, with `lease_ended`, and stays so. */
  readonly ended: AbortSignal
  /** Exchanges under way, each aborted when the lease ends: a listener of `ended` for each would be slow. */
  readonly underWay: UnderWay
  nextId(): number
}

/** What a connection was opened for, or why none of its requests may pass. */
export type Seat = { readonly channel: Channel } | { readonly refused: Refused }

const SEAT = Symbol('seat')
type Seated = { [SEAT]?: Seat }

// On the connection itself, so that it lives exactly as long.
export const seatOf = (socket: object): Seat | undefined => (socket as Seated)[SEAT]
export function seat<S extends object>(socket: S, where: Seat): S {
  ;(socket as Seated)[SEAT] = where
  return socket
}

/** Nothing that a report does can stop or break the traffic it reports on. */
export function report(gate: Gate, told: { outcome: Outcome } | { refused: EngineRefusal }): void {
  try {
    const telling = 'outcome' in told ? gate.outcome(told.outcome) : gate.refused(told.refused)
    telling?.catch(() => {})
  } catch {
    // Dropped, as the port says.
  }
}
