import { ROUTES } from '../api/routes.ts'
import { type ClientFrame, SESSION_PATH, SESSION_PROTOCOL } from '../api/session.ts'
import type { LeaseView } from '../api/types.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import type { Environment } from './caller.ts'
import type { FarEnd, LeaseFrame } from './far-end.ts'
import { FrameReader } from './frame-reader.ts'
import { callServer, type Server } from './server.ts'
import type { Upgrade } from './server-upgrade.ts'
import { encodeFrame, type LineEvents, lineOver, type SessionLine } from './session-line.ts'

export interface ServerEndTerms {
  readonly server: Server
  readonly env: Environment
  /** What opens the session: the job's identity token, or inside a job the credential of its lease. */
  readonly opener: Secret
  /** To this server. */
  readonly upgrade: Upgrade
  readonly random?: () => number
  readonly sleep?: (ms: number) => Promise<void>
}

/** Tries to open a session, and the pauses between them, ± a half. */
const PAUSES_MS = [1000, 3000]
const FIRST_PAUSE_MS = 150
const LONGEST_PAUSE_MS = 1000
const ANSWER_MS = 5000
/** Of an answer to a revocation: how far that is. */
const LEASE_STATE = 'broker-lease-state'
const POLL_MS = 500

/** Errors of the system after which another try may find the server. */
const PASSING = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'NOT_READY',
])
/** What a server says that will be there in a moment. */
const BUSY = new Set(['issuer_unavailable', 'rate_limited', 'storage_full'])

/**
 * A `broker serve` elsewhere. Nothing of it is started or ended by us. The identity token opens the session
 * once; who comes back shows the lease's own credential, beside the session's secret.
 */
export class ServerEnd implements FarEnd {
  readonly name: string
  readonly logs = 'see the log of broker serve there'
  readonly #terms: ServerEndTerms
  #handle: Secret | undefined

  constructor(terms: ServerEndTerms) {
    this.#terms = terms
    this.name = `the server "${terms.server.url}"`
  }

  async open(events: LineEvents, first: ClientFrame, timeoutMs: number): Promise<SessionLine> {
    const { socket, head } = await this.#terms.upgrade({
      path: SESSION_PATH,
      protocol: SESSION_PROTOCOL,
      bearer: this.#handle ?? this.#terms.opener,
      timeoutMs,
    })
    const reader = new FrameReader(events.frame)
    const take = (text: string) => {
      if (!reader.take(text)) socket.destroy()
    }
    socket.setEncoding('utf8')
    // The end of the server's half is the end of the line.
    socket.once('end', () => socket.destroy())
    socket.on('error', () => {}) // `close` follows, and tells
    socket.once('close', () => events.closed())
    socket.on('data', take)
    if (head.length > 0) socket.unshift(head)
    socket.write(encodeFrame(first))
    events.sent()
    return lineOver(socket)
  }

  /** Before the session is open nothing is used up: the same token may be shown again. */
  async revive(error: unknown, attempt: number): Promise<void> {
    const pauseMs = PAUSES_MS[attempt]
    if (pauseMs === undefined || !mayPass(error)) throw error
    await this.#sleep(pauseMs * (0.5 + this.#random()))
  }

  holds({ variables }: LeaseFrame): void {
    this.#handle = new Secret(variables['BROKER_HANDLE'] ?? '')
  }

  watch(): void {}

  async isAlive(): Promise<boolean> {
    const { method, path } = ROUTES.health
    const { server, env } = this.#terms
    return callServer(server, { method, path, timeoutMs: ANSWER_MS }, env).then(
      () => true,
      () => false,
    )
  }

  async clear(): Promise<void> {}

  async prepare(): Promise<void> {}

  /** Many jobs lose the same server at the same instant; they do not come back in step. */
  pauseMs(attempt: number): number {
    const bound = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 10))
    return bound * (0.5 + this.#random() / 2)
  }

  async renew(): Promise<boolean> {
    return false
  }

  async leaseAt(id: string): Promise<LeaseView | undefined> {
    const { server, env } = this.#terms
    const { method, path } = ROUTES.showLease
    const call = { method, path: path.replace(':id', encodeURIComponent(id)) }
    const bearer = this.#held()
    try {
      const answer = await callServer(server, { ...call, bearer, timeoutMs: ANSWER_MS }, env)
      return answer.status === 200 ? (answer.body as LeaseView) : undefined
    } catch {
      return undefined
    }
  }

  /** A lease that has ended is not shown to its own credential any more; how far its end is, it is told. */
  async whenEnded(
    lease: LeaseView,
    wanted: (latest: LeaseView | undefined) => boolean,
  ): Promise<LeaseView | undefined> {
    for (;;) {
      const ended = await this.lastTry(lease)
      if (ended !== undefined) return ended
      if (!wanted(undefined)) return undefined
      await this.#sleep(POLL_MS)
    }
  }

  gone(lease: LeaseView, cause: unknown): BrokerError {
    return new BrokerError('daemon_unreachable', `${this.name} went away and did not come back`, {
      hint: `lease ${lease.id} ends when it is back, or at ${lease.expiresAt}`,
      cause,
    })
  }

  /** RFC 7009 with the lease's own credential: it ends a lease, and is answered once that is confirmed. */
  async lastTry(lease: LeaseView): Promise<LeaseView | undefined> {
    const { server, env } = this.#terms
    const { method, path } = ROUTES.oauthRevoke
    const form = new URLSearchParams({ token: this.#held().reveal() })
    const call = { method, path, form, timeoutMs: ANSWER_MS }
    const answer = await callServer(server, call, env).catch(() => undefined)
    if (answer?.status !== 200 || answer.headers[LEASE_STATE] === 'revoking') return undefined
    return { ...lease, state: 'revoked', endedAt: new Date().toISOString() }
  }

  #held(): Secret {
    if (this.#handle === undefined) throw new TypeError('there is no lease yet')
    return this.#handle
  }

  #random(): number {
    return (this.#terms.random ?? Math.random)()
  }

  #sleep(ms: number): Promise<void> {
    return (this.#terms.sleep ?? sleep)(ms)
  }
}

function mayPass(error: unknown): boolean {
  if (!isBrokerError(error)) return false
  const { code } = (error.cause ?? {}) as { readonly code?: unknown }
  return BUSY.has(error.code) || (error.code === 'daemon_unreachable' && PASSING.has(String(code)))
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
