import { once } from 'node:events'
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerError } from '../../errors.ts'
import type { Certificate } from './certificate.ts'
import { Connections } from './connections.ts'
import type { ServeLimits } from './limits.ts'
import type { ServeSettings } from './settings.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void
type Upgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void

export interface FrontTerms {
  readonly settings: ServeSettings
  /** Null: plain HTTP. */
  readonly certificate: Certificate | null
  readonly limits: ServeLimits
  /** A connection was over a limit. */
  readonly onRefused: () => void
}

/** Requests under way on one connection: clients send the next one when they have the answer. */
const PIPELINED = 8

/** Answered also while the server drains: they ask how it is. */
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics'])

/**
 * The port. Taken before anything is opened, so that a second server fails at once; until `serve` every
 * request is told to come again.
 */
export class Front {
  readonly connections: Connections
  readonly #server: HttpServer | HttpsServer
  readonly #underWay = new Set<ServerResponse>()
  readonly #onSocket = new WeakMap<Socket, number>()
  #answer: Answer = comeAgain
  #upgrade: Upgrade = (_request, socket) => socket.destroy()
  #draining = false

  /** Throws `conflict` when the port is taken, `usage` when the address is not one of this machine. */
  static async open(terms: FrontTerms): Promise<Front> {
    const front = new Front(terms)
    await front.#listen(terms.settings)
    return front
  }

  private constructor({ certificate, limits, onRefused }: FrontTerms) {
    const server = createFor(certificate, limits)
    server.timeout = limits.quietMs
    server.on('request', (request, response) => this.#take(request, response))
    server.on('upgrade', (request, socket, head) => {
      const tcp = socket as Socket
      tcp.setTimeout(0) // who takes it over has limits of its own
      tcp.on('error', () => tcp.destroy())
      // Behind a request that is still being answered, that answer would end up in what follows.
      if (this.#draining || (this.#onSocket.get(tcp) ?? 0) > 0) tcp.destroy()
      else this.#upgrade(request, tcp, head)
    })
    server.on('clientError', refuseUnread)
    this.connections = new Connections(limits, onRefused)
    this.connections.watch(server)
    this.#server = server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get draining(): boolean {
    return this.#draining
  }

  serve(answer: Answer, upgrade: Upgrade): void {
    this.#answer = answer
    this.#upgrade = upgrade
  }

  /** For connections from now on; those that are open keep theirs. */
  renew({ context }: Certificate): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tls(context))
  }

  /** Takes nothing new, and waits for what is under way, for as long as `withinMs`. Does not touch sessions. */
  async drain(withinMs: number): Promise<void> {
    this.#draining = true
    this.#server.close()
    for (const response of this.#underWay) endAfter(response)
    this.#server.closeIdleConnections()
    const ended = [...this.#underWay].map((response) => once(response, 'close'))
    await Promise.race([Promise.allSettled(ended), sleep(withinMs, undefined, { ref: false })])
    this.#server.closeAllConnections()
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const before = this.#onSocket.get(socket) ?? 0
    this.#onSocket.set(socket, before + 1)
    this.#underWay.add(response)
    response.once('close', () => {
      this.#underWay.delete(response)
      this.#onSocket.set(socket, (this.#onSocket.get(socket) ?? 1) - 1)
    })
    if (this.#draining) endAfter(response)
    const refused = this.#draining && !PROBES.has(request.url ?? '')
    const answer = refused || before >= PIPELINED ? comeAgain : this.#answer
    answer(request, response)
  }

  async #listen({ host, port }: ServeSettings): Promise<void> {
    try {
      const listening = once(this.#server, 'listening')
      this.#server.listen({ host, port, backlog: 1024 })
      await listening
    } catch (error) {
      throw cannotListen(host, port, error)
    }
    // Too many open files: that one connection is lost, the others go on.
    this.#server.on('error', () => {})
  }
}

function createFor(certificate: Certificate | null, limits: ServeLimits): HttpServer | HttpsServer {
  const options: ServerOptions = {
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(1000, limits.headMs),
    noDelay: true,
    requireHostHeader: true,
  }
  if (!certificate) return createServer(options)
  return createTlsServer({
    ...options,
    ...tls(certificate.context),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: limits.handshakeMs,
  })
}

function tls(context: Certificate['context']) {
  return { ...context, minVersion: 'TLSv1.2' as const, honorCipherOrder: true }
}

function comeAgain(_request: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify({ status: 'unavailable' })
  response.writeHead(503, {
    'content-type': 'application/json',
    'retry-after': '1',
    connection: 'close',
  })
  response.end(body)
}

function endAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close')
}

const UNREAD: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** What never became a request: no word of it comes back. */
function refuseUnread(error: NodeJS.ErrnoException, socket: { writable: boolean } & Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = UNREAD[error.code ?? ''] ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
  // Who does not read the answer is not waited for.
  socket.setTimeout(1000, () => socket.destroy())
}

function cannotListen(host: string, port: number, cause: unknown): BrokerError {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    return new BrokerError('conflict', `port ${port} of "${host}" is taken`, {
      hint: 'end what listens there, or choose another port with --listen',
      cause,
    })
  }
  return new BrokerError('usage', `cannot listen on "${host}", port ${port}`, {
    hint:
      code === 'EACCES'
        ? 'ports below 1024 need a right of their own; take 8443'
        : 'give an address of this machine with --listen',
    cause,
  })
}
