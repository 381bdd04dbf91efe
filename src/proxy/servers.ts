import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { CertificateAuthority } from './certificates.ts'
import { connect, type Ends } from './connect.ts'
import { type Engine, seat, seatOf } from './engine.ts'
import { Requests } from './requests.ts'
import { TlsEnds } from './tls-ends.ts'
import { isWebSocket } from './upgrade.ts'

/**
 * The parsers and how they hand over to each other: one HTTP/1 server takes what comes to the
 * listener and what is left of it after CONNECT and TLS; HTTP/2 is spoken behind TLS alone.
 */
export function serve(engine: Engine, authority: CertificateAuthority): Server {
  const { limits, sockets } = engine
  const server = createServer({
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headMs,
    requestTimeout: 0, // uploads take as long as they take; what is slow is timed piece by piece
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(1000, limits.headMs),
    requireHostHeader: false, // checked with the rest of the authority, for a readable refusal
    insecureHTTPParser: false,
    noDelay: true,
    shouldUpgradeCallback: isWebSocket,
  })
  server.maxConnections = limits.connections
  // The parser drops fields past this silently: far enough that the limit is noticed first.
  server.maxHeadersCount = limits.headFields + 100
  const http2 = createHttp2(engine)
  const requests = new Requests(engine)
  const tls = new TlsEnds({
    authority,
    sockets,
    handshakeMs: limits.helloMs,
    speak: (socket: TLSSocket) => {
      if (socket.alpnProtocol !== 'h2') return server.emit('connection', socket)
      // Half-open like the connection below it; a session does not notice that its client has left.
      socket.allowHalfOpen = false
      return http2.emit('connection', socket)
    },
  })
  const ends: Ends = {
    tls: (socket, name, where) => tls.end(socket, name, where),
    http: (socket) => {
      server.emit('connection', socket)
      socket.resume() // it comes paused, its first bytes put back
    },
  }
  http2.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) =>
    requests.take(request, response, false),
  )
  http2.on('checkContinue', (request: Http2ServerRequest, response: Http2ServerResponse) =>
    requests.take(request, response, true),
  )
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {})
    sockets.add(socket)
  })
  server.on('request', (request, response) => requests.take(request, response, false))
  server.on('checkContinue', (request, response) => requests.take(request, response, true))
  server.on('checkExpectation', (request, response) => requests.unexpected(request, response))
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    connect(engine, ends, request, socket, head).catch(() => socket.destroy())
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    requests.upgrade(request, response, socket, head)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    requests.broken(error, socket),
  )
  return server
}

function createHttp2({ limits }: Engine): Http2Server {
  const server = createHttp2Server({
    maxHeaderListPairs: limits.headFields + 8,
    maxSessionInvalidFrames: 10,
    maxSessionRejectedStreams: 10,
    settings: {
      maxConcurrentStreams: limits.streams,
      maxHeaderListSize: limits.headBytes,
      enableConnectProtocol: false,
      enablePush: false,
    },
  })
  server.on('sessionError', () => {})
  server.on('session', (session) => {
    const where = seatOf(session.socket)
    if (where) seat(session, where)
    let streams = 0
    session.on('stream', (stream) => {
      streams++
      stream.once('close', () => streams--)
    })
    session.on('error', () => session.destroy())
    // A session with a quiet stream (an event stream, a held request) is not idle.
    session.setTimeout(limits.idleMs, () => streams === 0 && session.close())
  })
  return server
}
