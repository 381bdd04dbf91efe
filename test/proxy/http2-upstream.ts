import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { CertificateAuthority } from '../../src/proxy/certificates.ts'

export interface ArrivedStream {
  readonly fields: IncomingHttpHeaders
  readonly stream: ServerHttp2Stream
  body: string
  trailers: IncomingHttpHeaders | undefined
}

/** A server that takes HTTP/2 and records every stream; `answer` says what becomes of one. */
export class Http2Upstream {
  readonly arrived: ArrivedStream[] = []
  readonly sessions = new Set<ServerHttp2Session>()
  connections = 0
  /** Whether the body is read: without it, the client is held back by flow control. */
  reading = true
  answer: (arrived: ArrivedStream) => void = ({ stream }) => stream.respond()
  readonly #server: Http2SecureServer

  constructor(server: Http2SecureServer) {
    this.#server = server
    server.on('connection', () => this.connections++)
    server.on('session', (session) => {
      this.sessions.add(session)
      session.on('error', () => {})
      session.once('close', () => this.sessions.delete(session))
    })
    server.on('stream', (stream, fields) => {
      const arrived: ArrivedStream = { fields, stream, body: '', trailers: undefined }
      this.arrived.push(arrived)
      stream.on('error', () => {})
      stream.on('trailers', (trailers) => {
        arrived.trailers = trailers
      })
      if (this.reading) stream.on('data', (piece) => (arrived.body += piece))
      this.answer(arrived)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  clear(): void {
    this.arrived.length = 0
    this.reading = true
  }

  close(): void {
    for (const session of this.sessions) session.destroy()
    this.#server.close()
  }
}

export async function http2Upstream(
  ca: CertificateAuthority,
  name: string,
): Promise<Http2Upstream> {
  const { chain, key } = await ca.leaf(name)
  const server = createSecureServer({ cert: chain, key: key.reveal(), allowHTTP1: true })
  // No listener for requests: the one for streams would share them with it.
  server.on('upgrade', (_request, socket: Socket) => {
    socket.end(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhi',
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return new Http2Upstream(server)
}
