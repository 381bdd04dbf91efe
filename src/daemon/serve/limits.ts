import type { Rate } from './rates.ts'

/** What one stranger, or all of them together, can make the server hold. Times in milliseconds. */
export interface ServeLimits {
  /** Open connections of everybody. */
  readonly connections: number
  /** Of one address; sessions and relayed connections, whose lease is proven, are not among them. */
  readonly connectionsPerAddress: number
  readonly headBytes: number
  /** Of `/oauth/*`. */
  readonly formBytes: number
  readonly bodyBytes: number
  readonly handshakeMs: number
  /** From the first byte of a request, or from the handshake, to the end of its head. */
  readonly headMs: number
  /** To the end of its body. */
  readonly requestMs: number
  /** Between two requests. */
  readonly idleMs: number
  /** No byte in either direction while an answer is made or taken. */
  readonly quietMs: number
  /** A session's first frame. */
  readonly beginMs: number
  /** Exchanges and sessions of one verified subject. */
  readonly subject: Rate
  /** Attempts of one address that fail: identity tokens, keys, tokens to revoke that nobody knows. */
  readonly failures: Rate
}

export const LIMITS: ServeLimits = {
  connections: 8192,
  connectionsPerAddress: 256,
  headBytes: 16 * 1024,
  formBytes: 64 * 1024,
  bodyBytes: 2 * 1024 * 1024,
  handshakeMs: 10_000,
  headMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  quietMs: 90_000,
  beginMs: 10_000,
  subject: { burst: 60, perMinute: 60 },
  failures: { burst: 60, perMinute: 60 },
}
