import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { PROXY_PROTOCOL, SESSION_PATH, SESSION_PROTOCOL } from '../../api/session.ts'
import type { Caller, Log } from '../../broker/context.ts'
import type { Lease } from '../../core/lease.ts'
import { BrokerError } from '../../errors.ts'
import type { SessionFacts } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import { refuseUpgrade } from '../upgrade.ts'
import type { Connections } from './connections.ts'
import type { ProxyRelay } from './proxy-relay.ts'
import type { RemoteCallers } from './remote-callers.ts'

const PROXY_PATH = /^\/v1\/leases\/([\w-]{1,64})\/proxy$/

export interface UpgradeTerms {
  readonly callers: RemoteCallers
  readonly sessions: Sessions
  readonly facts: SessionFacts
  readonly relay: ProxyRelay
  readonly connections: Connections
  readonly log: Log
  /** Told of each: what it was for, and the status it was answered with. */
  readonly onDone: (
    what: 'session' | 'proxy' | 'none',
    status: number,
    lease: string | null,
  ) => void
}

/** Connections that become something else than HTTP: sessions, and connections to the proxies of leases. */
export class Upgrades {
  readonly #terms: UpgradeTerms

  constructor(terms: UpgradeTerms) {
    this.#terms = terms
  }

  /** Never throws. */
  take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#take(request, socket, head).catch((error: unknown) => {
      this.#terms.log.error('a session failed', error)
      socket.destroy()
    })
  }

  async #take(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { upgrade } = request.headers
    const path = request.url ?? ''
    const proxied = PROXY_PATH.exec(path)?.[1]
    if (path === SESSION_PATH && upgrade === SESSION_PROTOCOL) {
      await this.#session(request, socket, head)
    } else if (proxied !== undefined && upgrade === PROXY_PROTOCOL) {
      await this.#proxy(request, socket, head, proxied)
    } else {
      this.#refuse('none', socket, { statusCode: 404 })
    }
  }

  async #session(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { callers, sessions, connections, facts, onDone } = this.#terms
    // What has arrived is put back before anything is awaited: nothing may be lost in between.
    if (head.length > 0) socket.unshift(head)
    let caller: Caller
    try {
      caller = await callers.any(request.headers.authorization, socket.remoteAddress)
    } catch (error) {
      this.#refuse('session', socket, error)
      return
    }
    connections.release(socket)
    onDone('session', 101, caller.kind === 'lease' ? caller.lease.id : null)
    await sessions.run(caller, socket, facts)
  }

  async #proxy(request: IncomingMessage, socket: Socket, head: Buffer, id: string): Promise<void> {
    const { callers, connections, relay, onDone } = this.#terms
    let lease: Lease
    try {
      const caller = await callers.known(request.headers.authorization, socket.remoteAddress)
      // Only a lease's own credential leads to its proxy, whoever else may see the lease.
      if (caller.kind !== 'lease' || caller.lease.id !== id) throw notYours(id)
      lease = caller.lease
    } catch (error) {
      this.#refuse('proxy', socket, error)
      return
    }
    connections.release(socket)
    onDone('proxy', 101, lease.id)
    relay.relay(lease, socket, head)
  }

  #refuse(what: 'session' | 'proxy' | 'none', socket: Socket, error: unknown): void {
    const status = refuseUpgrade(socket, error, this.#terms.log)
    this.#terms.onDone(what, status, null)
    // Who does not read the answer is not waited for.
    socket.setTimeout(1000, () => socket.destroy())
  }
}

function notYours(id: string): BrokerError {
  return new BrokerError('not_found', `there is no lease "${id}"`, {
    hint: 'send "Authorization: Bearer" with the credential of this very lease',
  })
}
