import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { PROXY_PROTOCOL } from '../../api/session.ts'
import type { Lease } from '../../core/lease.ts'
import type { LeaseId } from '../../lib/ids.ts'

export interface RelayTerms {
  /** The loopback port of the lease's own proxy; undefined when it has none, or none any more. */
  readonly portOf: (lease: LeaseId) => number | undefined
  readonly limits?: Partial<typeof LIMITS>
}

const LIMITS = {
  /** Connections of one lease at once; one beyond it is refused. */
  most: 256,
  /** For the lease's proxy, on this machine, to take one. */
  connectMs: 5_000,
  /** From the end of the lease to the cut, in which the proxy's last answers go out. */
  lastMs: 50,
}

/** One relayed connection. */
interface Pair {
  readonly near: Duplex
  readonly far: Socket
}

/**
 * Connections from elsewhere to the proxies of leases, byte for byte. Nothing is read here and nothing is
 * decided: the lease's own proxy parses, judges and forwards, as it does for a task of this machine.
 */
export class ProxyRelay {
  readonly #portOf: RelayTerms['portOf']
  readonly #limits: typeof LIMITS
  readonly #open = new Map<LeaseId, Set<Pair>>()
  #closed = false

  constructor({ portOf, limits }: RelayTerms) {
    this.#portOf = portOf
    this.#limits = { ...LIMITS, ...limits }
  }

  /** Connections under way, of all leases. */
  get open(): number {
    let sum = 0
    for (const pairs of this.#open.values()) sum += pairs.size
    return sum
  }

  /**
   * Takes over a connection whose request was authenticated with the credential of this very lease, and
   * answers that request: 101 once the lease's proxy is there, else 503. `head`: what came behind it.
   */
  relay({ id }: Pick<Lease, 'id'>, near: Duplex, head: Buffer): void {
    near.on('error', () => near.destroy())
    const port = this.#closed ? undefined : this.#portOf(id)
    const open = this.#open.get(id)?.size ?? 0
    if (port === undefined) refuse(near, 'this lease has no proxy')
    else if (open >= this.#limits.most) refuse(near, 'this lease has too many connections')
    else this.#connect(id, port, near, head)
  }

  #connect(id: LeaseId, port: number, near: Duplex, head: Buffer): void {
    const far = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    const pair = { near, far }
    this.#hold(id, pair)
    const timer = setTimeout(() => far.destroy(new Error('too slow')), this.#limits.connectMs)
    far.once('close', () => clearTimeout(timer))
    let joined = false
    far.once('connect', () => {
      clearTimeout(timer)
      joined = true
      near.write(SWITCHING)
      join(near, far, head)
    })
    far.on('error', () => {
      if (joined) near.destroy()
      else refuse(near, 'the proxy of this lease does not answer')
    })
  }

  /** The lease begins to end: cuts what it has within 100 ms. Returns at once; may be repeated. */
  ending({ id }: Pick<Lease, 'id'>): void {
    const pairs = this.#open.get(id)
    if (pairs === undefined) return
    // Those that are there now; a new one finds no proxy.
    const ended = [...pairs]
    setTimeout(() => ended.forEach(cut), this.#limits.lastMs)
  }

  /** Cuts everything and takes nothing new. */
  close(): void {
    this.#closed = true
    for (const pairs of this.#open.values()) [...pairs].forEach(cut)
  }

  #hold(id: LeaseId, pair: Pair): void {
    const pairs = this.#open.get(id) ?? new Set()
    this.#open.set(id, pairs.add(pair))
    const release = () => {
      if (!pair.near.destroyed || !pair.far.destroyed) return
      pairs.delete(pair)
      if (pairs.size === 0 && this.#open.get(id) === pairs) this.#open.delete(id)
    }
    pair.near.once('close', release)
    pair.far.once('close', release)
    pair.near.once('close', () => pair.far.destroy())
  }
}

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${PROXY_PROTOCOL}\r\n\r\n`

/** An end is passed on by the pipes, behind all bytes before it, no faster than the slower side reads. */
function join(near: Duplex, far: Socket, head: Buffer): void {
  // A TLS server's sockets end both ways as soon as one does, unless told otherwise.
  near.allowHalfOpen = true
  if (head.length > 0) near.unshift(head)
  near.pipe(far)
  far.pipe(near)
  far.once('close', () => {
    // What was said last still goes out; what was cut is cut.
    if (far.readableEnded) near.end(() => near.destroy())
    else near.destroy()
  })
}

function refuse(near: Duplex, why: string): void {
  const body = `${why}\n`
  near.end(
    `HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}

function cut({ near, far }: Pair): void {
  near.destroy()
  far.destroy()
}
