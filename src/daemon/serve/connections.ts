import type { Server, Socket } from 'node:net'
import type { ServeLimits } from './limits.ts'
import { addressKey } from './rates.ts'

type Peer = Pick<Socket, 'remoteAddress' | 'remotePort'>

/** The open connections of a server by address: one stranger does not take them all. */
export class Connections {
  readonly #limits: ServeLimits
  readonly #onRefused: () => void
  /** Address → connections that count; no entry without one. */
  readonly #counts = new Map<string, number>()
  /** Who counts, by address and port, and what gives the place back. */
  readonly #counted = new Map<string, () => void>()

  constructor(limits: ServeLimits, onRefused: () => void) {
    this.#limits = limits
    this.#onRefused = onRefused
  }

  /** Before the handshake: what is over the limit has cost nothing yet. */
  watch(server: Server): void {
    server.maxConnections = this.#limits.connections
    server.on('drop', this.#onRefused)
    server.on('connection', (socket) => this.#take(socket))
  }

  /** Of addresses that are connected now. */
  get addresses(): number {
    return this.#counts.size
  }

  /** It has proven who it is and stays for as long as its lease: it does not count any more. */
  release(peer: Peer): void {
    this.#counted.get(nameOf(peer))?.()
  }

  #take(socket: Socket): void {
    const address = addressKey(socket.remoteAddress)
    const count = this.#counts.get(address) ?? 0
    if (count >= this.#limits.connectionsPerAddress) {
      this.#onRefused()
      socket.destroy()
      return
    }
    this.#counts.set(address, count + 1)
    const name = nameOf(socket)
    const giveBack = () => {
      if (this.#counted.get(name) !== giveBack) return
      this.#counted.delete(name)
      const left = (this.#counts.get(address) ?? 1) - 1
      if (left > 0) this.#counts.set(address, left)
      else this.#counts.delete(address)
    }
    this.#counted.set(name, giveBack)
    socket.once('close', giveBack)
  }
}

/** One for each connection that is open. The TLS socket on top of it has the same. */
function nameOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`
}
