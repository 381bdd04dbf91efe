import type { Duplex } from 'node:stream'

/** Every socket of one lease, in both directions, so that ending the lease is one loop. */
export class Sockets {
  readonly #open = new Set<Duplex>()
  #ended = false

  /** Holds the socket until it closes; after `destroyAll` it is destroyed on the spot. */
  add<S extends Duplex>(socket: S): S {
    if (this.#ended) {
      socket.on('error', () => {})
      socket.destroy()
      return socket
    }
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return socket
  }

  get size(): number {
    return this.#open.size
  }

  destroyAll(): void {
    this.#ended = true
    for (const socket of this.#open) socket.destroy()
  }
}
