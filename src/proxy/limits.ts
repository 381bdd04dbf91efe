/** Sizes in bytes, times in milliseconds. Each bounds what one client can make the daemon hold. */
export interface Limits {
  /** Request line and all fields together; also HTTP/2's uncompressed list. */
  readonly headBytes: number
  readonly headFields: number
  /** From the first byte of a head to its end. */
  readonly headMs: number
  /** From CONNECT's answer to a whole ClientHello, and from there to a finished handshake. */
  readonly helloMs: number
  readonly routeMs: number
  /** Long enough for a person to approve what is held. */
  readonly judgeMs: number
  /** For an inspected body, from its first byte to its last. */
  readonly inspectMs: number
  /** For a streamed body, between two pieces while the upstream is ready for more. */
  readonly bodyIdleMs: number
  readonly connectMs: number
  readonly responseHeadMs: number
  /** An unused client connection. */
  readonly idleMs: number
  /** A client's message on a WebSocket whose messages are judged; the server's may be larger. */
  readonly messageBytes: number
  readonly serverMessageBytes: number
  /** For the other side's half of a WebSocket's closing handshake. */
  readonly closeMs: number
  /** What is read and thrown away of a refused request's body before the connection is cut. */
  readonly drainBytes: number
  readonly connections: number
  readonly streams: number
}

export const LIMITS: Limits = {
  headBytes: 32 * 1024,
  headFields: 200,
  headMs: 10_000,
  helloMs: 10_000,
  routeMs: 10_000,
  judgeMs: 90_000,
  inspectMs: 30_000,
  bodyIdleMs: 60_000,
  connectMs: 10_000,
  responseHeadMs: 300_000,
  idleMs: 60_000,
  messageBytes: 1024 * 1024,
  serverMessageBytes: 32 * 1024 * 1024,
  closeMs: 5_000,
  drainBytes: 1024 * 1024,
  connections: 1024,
  streams: 100,
}
