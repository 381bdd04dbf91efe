import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { SESSION_PATH, SESSION_PROTOCOL } from '../api/session.ts'
import type { Caller, Context } from '../broker/context.ts'
import type { Lease } from '../core/lease.ts'
import type { LeaseId } from '../lib/ids.ts'
import { Session, type SessionFacts } from './session.ts'
import { refuseUpgrade, switchTo } from './upgrade.ts'

/** The open sessions of this run, wherever they came in. */
export class Sessions {
  readonly #context: Context
  readonly #open = new Map<LeaseId, Session>()
  readonly #sockets = new Set<Socket>()

  constructor(context: Context) {
    this.#context = context
  }

  /** Takes the sessions of this machine. */
  serve(
    server: HttpServer,
    identify: (request: IncomingMessage) => Promise<Caller>,
    facts: SessionFacts,
  ): void {
    server.on('upgrade', (request, socket, head) => {
      this.#accept(request, socket as Socket, head, identify, facts).catch((error: unknown) => {
        this.#context.log.error('a session failed', error)
        socket.destroy()
      })
    })
  }

  /** Tells a task that its lease is ending, so that its person learns why. */
  notify(lease: Lease): void {
    this.#open.get(lease.id)?.notify(lease)
  }

  /** Lets go of every socket; the other ends will come back to the next run, or their leases end. */
  close(): void {
    // Not lost, let go: their leases are the next run's to keep or to end.
    for (const session of this.#open.values()) session.letGo()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Of someone who is known. Resolves when the session is over. */
  async run(caller: Caller, socket: Socket, facts: SessionFacts): Promise<void> {
    this.#hold(socket)
    switchTo(socket, SESSION_PROTOCOL)
    await new Session(this.#context, caller, socket, facts, this.#open).run()
  }

  async #accept(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    identify: (request: IncomingMessage) => Promise<Caller>,
    facts: SessionFacts,
  ): Promise<void> {
    this.#hold(socket)
    socket.on('error', () => socket.destroy())
    const { pathname } = new URL(request.url ?? '/', 'http://broker')
    if (pathname !== SESSION_PATH || request.headers.upgrade !== SESSION_PROTOCOL) {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n')
      return
    }
    // What has arrived is put back before anything is awaited: nothing may be lost in between.
    if (head.length > 0) socket.unshift(head)
    let caller: Caller
    try {
      caller = await identify(request)
    } catch (error) {
      refuseUpgrade(socket, error, this.#context.log)
      return
    }
    await this.run(caller, socket, facts)
  }

  #hold(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
