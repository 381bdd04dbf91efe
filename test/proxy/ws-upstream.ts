import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { CertificateAuthority } from '../../src/proxy/certificates.ts'

/** A real WebSocket server that writes down all that arrives; what it does is told by the path. */
export class SocketUpstream {
  readonly handshakes: IncomingMessage[] = []
  readonly messages: { readonly text: string; readonly isBinary: boolean }[] = []
  readonly pings: string[] = []
  readonly pongs: string[] = []
  readonly closes: { readonly code: number; readonly reason: string }[] = []
  readonly sockets = new Set<WebSocket>()
  /** What it does about a message, at every path but `/echo`. */
  answering: (open: WebSocket, text: string) => void = () => {}
  /** What it does about an ordinary request. */
  serving: RequestListener = (_request, response) => response.writeHead(404).end()
  readonly #connections = new Set<Socket>()
  readonly #server
  readonly #protocols = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    handleProtocols: (offered) => [...offered][0] ?? false,
  })
  readonly #silent = new WebSocketServer({ noServer: true, handleProtocols: () => false })

  constructor(chain: string, key: string) {
    this.#server = createServer({ cert: chain, key })
    this.#server.on('connection', (socket: Socket) => this.#connections.add(socket))
    this.#server.on('request', (request, response) => this.serving(request, response))
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => {})
      this.handshakes.push(request)
      this.#answer(request, socket, head)
    })
  }

  static async open(ca: CertificateAuthority, name: string): Promise<SocketUpstream> {
    const { chain, key } = await ca.leaf(name)
    const upstream = new SocketUpstream(chain, key.reveal())
    await new Promise<void>((done) => upstream.#server.listen(0, '127.0.0.1', done))
    return upstream
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get texts(): readonly string[] {
    return this.messages.map(({ text }) => text)
  }

  /** The one that was opened last. */
  get newest(): WebSocket {
    const socket = [...this.sockets].at(-1)
    if (!socket) throw new Error('no websocket is open')
    return socket
  }

  clear(): void {
    for (const list of [this.handshakes, this.messages, this.pings, this.pongs, this.closes]) {
      list.length = 0
    }
  }

  close(): void {
    for (const socket of this.#connections) socket.destroy()
    this.#server.close()
  }

  #answer(request: IncomingMessage, socket: Socket, head: Buffer): void {
    switch (request.url) {
      case '/refuses':
        socket.end(
          'HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\nx-why: key\r\nconnection: close\r\n\r\nnope',
        )
        return
      case '/without-protocol':
        this.#take(this.#silent, request, socket, head)
        return
      case '/extension':
        this.#protocols.once('headers', (lines: string[]) =>
          lines.push('Sec-WebSocket-Extensions: permessage-deflate'),
        )
        this.#take(this.#protocols, request, socket, head)
        return
      case '/cookie':
        this.#protocols.once('headers', (lines: string[]) =>
          lines.push('Set-Cookie: a=1', 'Broker-Decision: forged'),
        )
        this.#take(this.#protocols, request, socket, head)
        return
      default:
        this.#take(this.#protocols, request, socket, head)
    }
  }

  #take(server: WebSocketServer, request: IncomingMessage, socket: Socket, head: Buffer): void {
    // One piece with what is said at once, so that a client finds it behind the head.
    socket.cork()
    server.handleUpgrade(request, socket, head, (open) => {
      this.sockets.add(open)
      open.on('error', () => {})
      open.on('message', (data, isBinary) => {
        this.messages.push({ text: data.toString(), isBinary })
        if (request.url === '/echo') open.send(`echo ${data}`)
        else this.answering(open, data.toString())
      })
      open.on('ping', (data) => this.pings.push(data.toString()))
      open.on('pong', (data) => this.pongs.push(data.toString()))
      open.on('close', (code, reason) => {
        this.closes.push({ code, reason: reason.toString() })
        this.sockets.delete(open)
      })
      if (request.url === '/first') open.send('hello')
    })
    socket.uncork()
  }
}
