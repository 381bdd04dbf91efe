/**
 * The session: the socket on which `exec` asks for a lease and which it then holds. End-of-file on
 * it is the end of the task (design §5).
 *
 *   POST /v1/session, `Upgrade: broker-session` → 101, then one JSON object a line, both ways:
 *
 *   client                      daemon
 *   request | resume      →
 *                         ←     pending        a person has to decide first; `lease` or `error` follows
 *                         ←     lease (with variables and the session's secret) | resumed | error
 *   ack                   →
 *                         ←     bound          only now may the child be spawned
 *   started (pid)         →
 *   ping                  →     pong           both ways round; silence means the other side hangs
 *   end                   →     ended          when revocation is confirmed, or `ending` after each try
 *   detach                →     detached       --until-ttl: the lease outlives the session
 *                         ←     notice         the lease ended early (ttl, revoked): tell the person
 */
import type { ApprovalView, LeaseRequest, LeaseView, ProxyView, TaskPlaceView } from './types.ts'

export const SESSION_PATH = '/v1/session'
export const SESSION_PROTOCOL = 'broker-session'

/**
 * The way to a lease's proxy at a server: `POST /v1/leases/:id/proxy` with the lease's own credential,
 * `Upgrade: broker-proxy` → 101, then the bytes of one connection to the proxy, both ways.
 */
export const PROXY_PROTOCOL = 'broker-proxy'

/** What a client has to know of a lease's proxy at a server. Nothing in it is a secret. */
export interface RelayView {
  /** The proxy's CA alone, PEM. */
  readonly ca: string
  /** As in `ProxyView`. */
  readonly gitHeaders: readonly { readonly url: string; readonly header: string }[]
}

export type ClientFrame =
  | { readonly type: 'request'; readonly request: LeaseRequest }
  | { readonly type: 'resume'; readonly lease: string; readonly secret: string }
  | { readonly type: 'ack' }
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'ping' }
  | { readonly type: 'detach' }
  | { readonly type: 'end'; readonly exitCode: number | null; readonly signal: string | null }

export type DaemonFrame =
  | { readonly type: 'pending'; readonly approval: ApprovalView }
  | {
      readonly type: 'lease'
      readonly lease: LeaseView
      readonly variables: Readonly<Record<string, string>>
      readonly proxy: ProxyView | null
      /** Of a server alone, in place of `proxy` and `place`; null where the lease has no proxy. */
      readonly relay?: RelayView | null
      /** Null at `scrub`. */
      readonly place: TaskPlaceView | null
      /** Proves a reconnecting client is the one that holds this session. */
      readonly secret: string
      readonly daemon: { readonly pid: number; readonly version: string }
    }
  | {
      readonly type: 'resumed'
      readonly daemon: { readonly pid: number; readonly version: string }
    }
  | { readonly type: 'bound' }
  | { readonly type: 'pong' }
  | { readonly type: 'detached' }
  | { readonly type: 'notice'; readonly lease: LeaseView }
  | {
      readonly type: 'ended'
      readonly lease: LeaseView
      /** From the daemon's receipt of `end` to the confirmed revocation. Milliseconds. */
      readonly elapsedMs: number
    }
  | {
      readonly type: 'error'
      readonly error: {
        readonly code: string
        readonly message: string
        readonly hint: string
        readonly details: Readonly<Record<string, unknown>>
      }
    }

export const SESSION = {
  /** How often the client pings. */
  pingMs: 2000,
  /** Silence after which the daemon counts as hung. */
  silenceMs: 6000,
  /**
   * From the loss of the broker to its return, or the child is ended. The same across a network: a server
   * that starts again is back within it, and longer than this nobody should have what nobody can take away.
   */
  returnMs: 10_000,
  /** How long `exec` waits for the confirmation of a revocation. */
  confirmMs: 10_000,
} as const
