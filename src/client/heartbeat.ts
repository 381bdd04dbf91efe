import { SESSION } from '../api/session.ts'
import { AwakeClock } from './awake-clock.ts'

export interface HeartbeatEvents {
  /** It is time to let the other side hear of us. */
  ping(): void
  /** Nothing was heard for `SESSION.silenceMs`; told again after every such time. */
  silent(): void
}

/** Whether the daemon still says something, by the time in which we ourselves were awake. */
export class Heartbeat {
  readonly #clock: AwakeClock
  readonly #events: HeartbeatEvents
  #lastHeard = 0
  #lastPing = 0

  constructor(events: HeartbeatEvents) {
    this.#events = events
    this.#clock = new AwakeClock(() => this.#tick())
  }

  start(): void {
    this.#clock.start()
  }

  stop(): void {
    this.#clock.stop()
  }

  /** Awake milliseconds so far. */
  elapsed(): number {
    return this.#clock.elapsed()
  }

  heard(): void {
    this.#lastHeard = this.#clock.elapsed()
  }

  #tick(): void {
    const now = this.#clock.elapsed()
    if (now - this.#lastHeard > SESSION.silenceMs) {
      this.#lastHeard = now
      this.#events.silent()
    } else if (now - this.#lastPing >= SESSION.pingMs) {
      this.#lastPing = now
      this.#events.ping()
    }
  }
}
