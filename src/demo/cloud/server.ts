import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { finished } from 'node:stream/promises'
import { GraphQLError } from 'graphql'
import { Access, type ProjectTokenReach } from './access.ts'
import { callerOf } from './caller.ts'
import type { Identity } from './certificate.ts'
import { openChannel, speaksProtocol } from './channel.ts'
import { type FailureMode, failureReply } from './failure.ts'
import { answer, run } from './graphql.ts'
import type { Maker } from './maker.ts'
import type { RateLimit } from './rate-limit.ts'
import { messageOf, type RecordedRequest, takeDown } from './record.ts'
import type { Reply } from './reply.ts'
import { upload, uploadTarget } from './upload.ts'
import type { CloudWorld } from './world.ts'

const GRAPHQL = '/graphql/v2'

/** What the server works on; its owner changes `failure` and `rateLimit` as it runs. */
export interface Serving {
  readonly world: CloudWorld
  readonly maker: Maker
  readonly reach: ProjectTokenReach
  readonly record: RecordedRequest[]
  readonly sockets: Set<Socket>
  failure: FailureMode
  rateLimit: RateLimit
}

export function cloudServer(serving: Serving, identity: Identity): Server {
  const server = createServer({ cert: identity.certificate, key: identity.key.reveal() })
  server.on('connection', (socket: Socket) => {
    if (serving.failure === 'down') socket.resetAndDestroy()
    serving.sockets.add(socket)
    socket.once('close', () => serving.sockets.delete(socket))
  })
  server.on('request', (request, response) => {
    serve(serving, request, response).catch(() => request.socket.destroy())
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(serving, request, socket, head)
  })
  return server
}

/** Opens a websocket, or says no by closing. What comes over it is on record like requests. */
function upgrade(serving: Serving, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { world, maker, reach, record } = serving
  const handshake = takeDown(request, callerOf(world, request.headers)?.who ?? null)
  record.push(handshake)
  const known = handshake.path === GRAPHQL && speaksProtocol(request)
  if (serving.failure !== 'off' || !known || handshake.authorised === null) {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    return
  }
  // Asked for each message: a token may be gone by then.
  const caller = () => callerOf(world, request.headers)
  openChannel(request, socket, head, {
    heard: (text) => record.push(messageOf(handshake, text, caller()?.who ?? null)),
    run: (body) => run(body, new Access(world, maker, caller(), reach)),
  })
}

async function serve(serving: Serving, request: IncomingMessage, response: ServerResponse) {
  const caller = callerOf(serving.world, request.headers)
  const recorded = takeDown(request, caller?.who ?? null)
  serving.record.push(recorded)
  const { allowed, headers } = serving.rateLimit.take(caller?.who ?? 'nobody')
  // All of it, whatever will be said: an answer before the end would break off large uploads.
  await finished(request)
  // Asked now, not before: the mode may have changed while the body came, a token may be gone.
  const { failure, world, maker, reach } = serving
  const access = new Access(world, maker, callerOf(world, request.headers), reach)
  if (failure === 'hang') return
  const reply = allowed
    ? (failureReply(failure) ?? route(recorded, request, access))
    : { status: 429, body: { message: 'Rate limit exceeded' } }
  if (failure === 'lost') return void request.socket.destroy()
  const text = JSON.stringify(reply.body)
  const described = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  }
  response.writeHead(reply.status, { ...headers, ...described }).end(text)
}

function route(recorded: RecordedRequest, request: IncomingMessage, access: Access): Reply {
  const target = uploadTarget(recorded.path)
  if (!target && recorded.path !== GRAPHQL) return { status: 404, body: { message: 'Not Found' } }
  if (recorded.method !== 'POST') return { status: 405, body: { message: 'Method Not Allowed' } }
  if (target) return uploaded(() => upload(target, recorded.bytes, access))
  const type = request.headers['content-type'] ?? ''
  const plain = (request.headers['content-encoding'] ?? 'identity') === 'identity'
  if (!/^application\/json\b/i.test(type) || !plain) {
    return { status: 415, body: { message: 'Unsupported Media Type' } }
  }
  return answer(recorded.body, access)
}

/** Uploads are no GraphQL and say so by their status. */
function uploaded(work: () => Reply): Reply {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
    const status = error.message === 'Not Authorized' ? 401 : 404
    return { status, body: { message: error.message } }
  }
}
