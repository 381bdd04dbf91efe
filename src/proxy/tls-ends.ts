import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { CertificateAuthority } from './certificates.ts'
import { type Seat, seat } from './engine.ts'
import type { Sockets } from './sockets.ts'

export interface TlsEndParts {
  readonly authority: CertificateAuthority
  readonly sockets: Sockets
  readonly handshakeMs: number
  /** Takes the decrypted connection. */
  speak(socket: TLSSocket): void
}

/** One for each certificate and seat; kept, so that clients can resume their sessions. */
const CACHED = 256

/** Ends TLS for intercepted hosts with certificates of the lease's own authority. */
export class TlsEnds {
  readonly #servers = new Map<string, Promise<Server>>()
  readonly #parts: TlsEndParts

  constructor(parts: TlsEndParts) {
    this.#parts = parts
  }

  /** Takes over a connection whose next bytes are a ClientHello. `name` is what the certificate says. */
  async end(socket: Socket, name: string, where: Seat): Promise<void> {
    const server = await this.#server(name, where)
    if (socket.destroyed) return
    server.emit('connection', socket satisfies Duplex)
  }

  #server(name: string, where: Seat): Promise<Server> {
    const key =
      'channel' in where
        ? `${name} ${where.channel.host} ${where.channel.port}`
        : `${name} ${where.refused.message}`
    let server = this.#servers.get(key)
    if (!server) {
      const oldest = this.#servers.size >= CACHED ? this.#servers.keys().next().value : undefined
      if (oldest !== undefined) this.#servers.delete(oldest)
      server = this.#create(name, where)
      this.#servers.set(key, server)
    }
    return server
  }

  async #create(name: string, where: Seat): Promise<Server> {
    const { authority, sockets, handshakeMs, speak } = this.#parts
    const { chain, key } = await authority.leaf(name)
    const server = createServer({
      cert: chain,
      key: key.reveal(),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: handshakeMs,
      minVersion: 'TLSv1.2',
    })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {})
      speak(sockets.add(seat(socket, where)))
    })
    return server
  }
}
