import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { SESSION_PATH, SESSION_PROTOCOL } from '../api/session.ts'
import type { Caller, Context } from '../broker/context.ts'
import type { Lease } from '../core/lease.ts'
import type { LeaseId } from '../lib/ids.ts'
import { type Authentication, authenticate } from './authenticate.ts'
import { problemOf } from './problem.ts'
import { Session, type SessionFacts } from './session.ts'

/** The open sessions of this run. */
export class Sessions {
  readonly #context: Context
  readonly #authentication: Authentication
  readonly #facts: SessionFacts
  readonly #open = new Map<LeaseId, Session>()
  readonly #sockets = new Set<Socket>()

  constructor(context: Context, authentication: Authentication, facts: SessionFacts) {
    this.#context = context
    this.#authentication = authentication
    this.#facts = facts
  }

  serve(server: HttpServer): void {
    server.on('upgrade', (request, socket, head) => {
      this.#accept(request, socket as Socket, head).catch((error: unknown) => {
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

  async #accept(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
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
      caller = await authenticate(
        this.#context,
        this.#authentication,
        request.headers.authorization,
      )
    } catch (error) {
      this.#refuse(socket, error)
      return
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${SESSION_PROTOCOL}\r\n\r\n`,
    )
    const session = new Session(this.#context, caller, socket, this.#facts, this.#open)
    await session.run()
  }

  #refuse(socket: Socket, error: unknown): void {
    const problem = problemOf(error, this.#context.log)
    const body = JSON.stringify(problem)
    socket.end(
      `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: application/problem+json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
}
