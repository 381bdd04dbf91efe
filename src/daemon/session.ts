import type { Socket } from 'node:net'
import { clientFrame } from '../api/schemas.ts'
import type { ClientFrame, DaemonFrame, RelayView } from '../api/session.ts'
import type { LeaseRequest } from '../api/types.ts'
import { acknowledge, letGo, recordStart, takeBack } from '../broker/acknowledge.ts'
import type { Caller, Context } from '../broker/context.ts'
import { type Issued, issue } from '../broker/issue.ts'
import { revoke } from '../broker/revoke.ts'
import { TIMING } from '../core/deadlines.ts'
import type { Lease } from '../core/lease.ts'
import { hasEnded } from '../core/transitions.ts'
import { BrokerError } from '../errors.ts'
import { constantTimeEqual, digest } from '../lib/equal.ts'
import type { LeaseId } from '../lib/ids.ts'
import { lines, outOfOrder } from './lines.ts'
import { problemOf } from './problem.ts'
import { approvalView, leaseView } from './views.ts'

/** For a refusal to arrive. */
const LAST_WORDS_MS = 2000
/** What may wait for a reader. Bytes; far more than all frames of an honest session. */
const MOST_UNREAD = 256 * 1024

export interface SessionFacts {
  readonly version: string
  readonly pid: number
  /** Where a task on this machine finds us. */
  readonly socket: string
  /** Null: the client is on this machine. */
  readonly remote: RemoteTerms | null
}

/** What differs when a network lies between us. Times in milliseconds. */
export interface RemoteTerms {
  /** What its client has to know of a lease's proxy. */
  readonly relayOf: (issued: Issued) => RelayView | null
  /** For the first frame: whoever connects does not hold a place for nothing. */
  readonly beginMs: number
  /** Not a byte, not even a ping, for this long: a machine that dies does not say so. */
  readonly silenceMs: number
  /** A line that broke, and did not end, may come back within this. */
  readonly returnMs: number
  /** What to tell a subject that was refused, and from where: it is let try only so often. */
  readonly refusalOf: (address: string, error: unknown) => unknown
}

/** One client on its socket, from its first frame to the end of the task. */
export class Session {
  readonly #context: Context
  readonly #caller: Caller
  readonly #socket: Socket
  readonly #facts: SessionFacts
  readonly #open: Map<LeaseId, Session>
  #lease: LeaseId | null = null
  #issuing: Promise<void> | null = null
  /** Once: however often it is asked for, it is waited for and recorded one time. */
  #ending: Promise<void> | null = null
  #started = false
  /** Fires when nobody is at the other end any more. */
  readonly #gone = new AbortController()
  #finished = false
  /** The other side hung up, as its end does; a line that breaks says nothing. */
  #hungUp = false

  constructor(
    context: Context,
    caller: Caller,
    socket: Socket,
    facts: SessionFacts,
    open: Map<LeaseId, Session>,
  ) {
    this.#context = context
    this.#caller = caller
    this.#socket = socket
    this.#facts = facts
    this.#open = open
  }

  notify(lease: Lease): void {
    if (!this.#finished) this.#send({ type: 'notice', lease: leaseView(lease) })
  }

  /** Frames one after another, until the socket ends. The end of the socket is the end of the task. */
  async run(): Promise<void> {
    this.#watch()
    try {
      for await (const line of lines(this.#socket)) {
        const frame = clientFrame.parse(JSON.parse(line)) as ClientFrame
        if (frame.type === 'ping') this.#send({ type: 'pong' })
        else if (frame.type === 'request') await this.#begin(frame)
        else if (frame.type === 'end') {
          this.#ending ??= this.#end(frame).catch((error: unknown) => this.#fail(error))
        } else await this.#take(frame)
      }
    } catch (error) {
      if (!this.#socket.destroyed) this.#fail(error)
    } finally {
      this.#gone.abort(new Error('the session has ended'))
      // A lease that is just being issued has to be known before it can be let go of.
      await this.#issuing
      this.#lost()
    }
  }

  #watch(): void {
    this.#socket.once('end', () => {
      this.#hungUp = true
    })
    const { remote } = this.#facts
    if (!remote) return
    this.#socket.setTimeout(remote.silenceMs, () => this.#socket.destroy())
    const begin = setTimeout(() => {
      if (this.#lease === null && !this.#issuing) this.#socket.destroy()
    }, remote.beginMs)
    this.#socket.once('close', () => clearTimeout(begin))
  }

  /** In turn, unless a person has to approve it: that may take minutes, and pings go on meanwhile. */
  async #begin(frame: Extract<ClientFrame, { type: 'request' }>): Promise<void> {
    if (this.#issuing) throw outOfOrder()
    const pending = Promise.withResolvers<void>()
    this.#issuing = this.#request(frame, pending.resolve).catch((error: unknown) =>
      this.#fail(error),
    )
    await Promise.race([this.#issuing, pending.promise])
  }

  async #take(frame: Exclude<ClientFrame, { type: 'ping' | 'end' | 'request' }>): Promise<void> {
    switch (frame.type) {
      case 'resume':
        return this.#resume(frame.lease, frame.secret)
      case 'ack':
        await acknowledge(this.#context, this.#held(), { session: true })
        return this.#send({ type: 'bound' })
      case 'started':
        return this.#start(frame.pid)
      case 'detach':
        await letGo(this.#context, this.#held())
        this.#finished = true
        return this.#send({ type: 'detached' })
      default:
        frame satisfies never
    }
  }

  /** An entry of the audit log: said again on the same line it is not another one. */
  async #start(pid: number): Promise<void> {
    const id = this.#held()
    if (this.#started) return
    this.#started = true
    await recordStart(this.#context, id, pid)
  }

  async #request(
    frame: Extract<ClientFrame, { type: 'request' }>,
    pending: () => void,
  ): Promise<void> {
    if (this.#lease !== null) throw outOfOrder()
    const wish = this.#facts.remote ? withoutWalls(this.#caller, frame.request) : frame.request
    const issued = await issue(this.#context, this.#caller, wish, {
      onPending: (approval) => {
        this.#send({ type: 'pending', approval: approvalView(approval) })
        pending()
      },
      signal: this.#gone.signal,
    })
    this.#hold(issued.lease.id)
    this.#send({
      type: 'lease',
      lease: leaseView(issued.lease),
      ...this.#reach(issued),
      secret: issued.session.reveal(),
      daemon: { pid: this.#facts.pid, version: this.#facts.version },
    })
  }

  /** What the task finds us by: sockets and ports of this machine, or the way to them. */
  #reach(issued: Issued) {
    const { remote, socket } = this.#facts
    const variables = issued.variables.reveal()
    if (remote) return { variables, proxy: null, place: null, relay: remote.relayOf(issued) }
    const own = { ...variables, BROKER_SOCKET: issued.place?.socket ?? socket }
    return { variables: own, proxy: issued.proxy, place: issued.place, relay: null }
  }

  async #resume(id: string, secret: string): Promise<void> {
    if (this.#lease !== null) throw outOfOrder()
    const known = await this.#context.store.read.secrets(id)
    if (!known?.sessionDigest || !constantTimeEqual(known.sessionDigest, digest(secret))) {
      throw new BrokerError('denied', `this session does not hold lease "${id}"`, {
        hint: 'start the task again',
      })
    }
    const lease = await takeBack(this.#context, id as LeaseId)
    this.#open.get(lease.id)?.replaced()
    this.#hold(lease.id)
    this.#send({ type: 'resumed', daemon: { pid: this.#facts.pid, version: this.#facts.version } })
  }

  #hold(id: LeaseId): void {
    this.#lease = id
    this.#open.set(id, this)
  }

  #held(): LeaseId {
    if (this.#lease === null) throw outOfOrder()
    return this.#lease
  }

  /** The same client came back on another socket before we saw this one's end. */
  replaced(): void {
    this.letGo()
    this.#socket.destroy()
  }

  letGo(): void {
    this.#finished = true
  }

  async #end(frame: Extract<ClientFrame, { type: 'end' }>): Promise<void> {
    const began = this.#context.now()
    const id = this.#held()
    this.#finished = true
    const how = frame.signal ? `signal ${frame.signal}` : `exit ${frame.exitCode ?? 'unknown'}`
    let lease = await revoke(this.#context, id, 'task_ended', how)
    // Not confirmed yet: the tick goes on trying; tell when it is, for as long as someone listens.
    while (!hasEnded(lease.state) && !this.#socket.destroyed) {
      this.#send({ type: 'notice', lease: leaseView(lease) })
      await new Promise((resolve) => setTimeout(resolve, 250))
      lease = (await this.#context.store.read.lease(id)) ?? lease
    }
    this.#send({ type: 'ended', lease: leaseView(lease), elapsedMs: this.#context.now() - began })
  }

  #lost(): void {
    this.#socket.destroySoon() // what was said last, a refusal, still goes out
    const id = this.#lease
    if (id === null || this.#open.get(id) !== this) return
    this.#open.delete(id)
    if (this.#finished) return
    // A client that lost us, not its task, may come back within the grace.
    const { remote } = this.#facts
    const graceMs = remote && !this.#hungUp ? remote.returnMs : TIMING.graceMs
    setTimeout(() => {
      if (this.#open.has(id)) return
      revoke(this.#context, id, 'task_ended', 'the session was lost').catch((error: unknown) =>
        this.#context.log.error('a revocation could not be recorded', error),
      )
    }, graceMs)
  }

  #fail(failure: unknown): void {
    const { remote } = this.#facts
    const caller = this.#caller
    const error =
      remote && caller.kind === 'subject' ? remote.refusalOf(caller.address, failure) : failure
    const { error: body } = problemOf(
      error instanceof SyntaxError ? outOfOrder() : error,
      this.#context.log,
    )
    this.#send({ type: 'error', error: body })
    this.#socket.end()
    // Who goes on talking to nobody does not hold a place for it.
    if (remote) setTimeout(() => this.#socket.destroy(), LAST_WORDS_MS).unref()
  }

  /** Who asks on and does not read is hung up on: what waits for them is our memory. */
  #send(frame: DaemonFrame): void {
    if (!this.#socket.writable) return
    if (this.#socket.writableLength > MOST_UNREAD) this.#socket.destroy()
    else this.#socket.write(`${JSON.stringify(frame)}\n`)
  }
}

/**
 * What stands around a task elsewhere is not ours to see, so nothing is believed of it, and what needs
 * more is refused (by the plan: a template's own least). A task of this machine that has walls asks from
 * behind them: its credential, come from elsewhere, has left them.
 */
function withoutWalls(caller: Caller, request: LeaseRequest): LeaseRequest {
  if (caller.kind === 'lease' && caller.lease.isolation !== 'scrub') {
    throw new BrokerError(
      'isolation_unavailable',
      'a task behind walls is given nothing over the network',
      { hint: 'ask from within the task, where BROKER_SOCKET leads here' },
    )
  }
  if (request.isolation === undefined || request.isolation === 'scrub') {
    return { ...request, isolation: 'scrub' }
  }
  throw new BrokerError(
    'isolation_unavailable',
    `isolation "${request.isolation}" is not to be had from a server`,
    { hint: 'leave --isolation out: with --server the command runs at scrub' },
  )
}
