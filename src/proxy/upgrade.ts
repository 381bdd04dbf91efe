import {
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { formatAuthority } from './authority.ts'
import { type Decision, outgoingFields } from './decide.ts'
import type { Engine } from './engine.ts'
import type { Carry } from './exchange.ts'
import { fieldLines, fieldRecord, responseFields } from './fields.ts'
import type { Progress } from './forward.ts'
import type { Outcome } from './gate.ts'
import { acceptClient, type ClientEnd, openUpstream, readHandshake } from './handshake.ts'
import { carryMessages } from './messages.ts'
import { Refused } from './refusal.ts'
import { join } from './tunnel.ts'
import type { Origin } from './upstreams.ts'

/** A WebSocket handshake that HTTP/1.1 can carry on; every other `Upgrade` is an ordinary request. */
export function isWebSocket(request: IncomingMessage): boolean {
  const { headers } = request
  return (
    request.method === 'GET' &&
    request.httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  )
}

/**
 * Carries a judged handshake. After the upstream's `101` the messages are judged where the gate wants
 * that, else the frames pass unread; any other answer goes back as it is.
 */
export function webSocket(response: ServerResponse, client: Duplex, head: Buffer): Carry {
  return async (engine, decision, origin, progress, signal) => {
    const { request, allow } = decision
    const handshake = readHandshake(request, allow)
    const upstream =
      origin.scheme === 'https'
        ? await engine.dialer.secure(origin, origin.ca, ['http/1.1'])
        : await engine.dialer.plain(origin)
    try {
      signal.throwIfAborted()
      if (!allow.messages) {
        return await unread(
          engine,
          { response, client, head },
          decision,
          origin,
          upstream,
          progress,
          signal,
        )
      }
      const opened = await openUpstream(engine, handshake, origin, upstream, signal)
      progress.status = opened.message.statusCode
      if (!opened.socket) return await relay(opened.message, response)
      const { message, socket } = opened
      const accepted = acceptClient(engine, { response, client, head }, message, socket.protocol)
      return await carryMessages(engine, request, allow.messages, accepted, socket, signal)
    } finally {
      progress.bytesUp = upstream.bytesWritten
      progress.bytesDown = upstream.bytesRead
      upstream.destroy()
    }
  }
}

async function unread(
  engine: Engine,
  { response, client, head }: ClientEnd,
  { request, allow }: Decision,
  origin: Origin,
  upstream: Socket,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome['end']> {
  const fields = outgoingFields(request, allow)
  fields.push('host', formatAuthority(origin.scheme, origin.host, origin.port))
  fields.push('connection', 'Upgrade', 'upgrade', 'websocket')
  const { target: path, method } = request
  const asked = send({ createConnection: () => upstream, path, method, headers: fields })
  const answer = await answerTo(asked, origin, signal)
  progress.status = answer.message.statusCode
  if (!answer.socket) return relay(answer.message, response)
  if (answer.head.length > 0) answer.socket.unshift(answer.head)
  switchOver(response, client, answer.message)
  if (head.length > 0) client.unshift(head)
  const end = await join(client, answer.socket)
  return engine.ended.aborted ? 'lease_ended' : end
}

interface Answer {
  readonly message: IncomingMessage
  readonly socket?: Duplex
  readonly head: Buffer
}

function answerTo(asked: ClientRequest, origin: Origin, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onAbort = () => asked.destroy(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const settle = (answer: Answer) => {
      signal.removeEventListener('abort', onAbort)
      resolve(answer)
    }
    asked.on('upgrade', (message, socket, head) => settle({ message, socket, head }))
    asked.on('response', (message) => settle({ message, head: Buffer.alloc(0) }))
    asked.on('error', (error) => {
      const broke = new Refused('upstream_failed', `the host "${origin.host}" broke off`, error)
      reject(signal.aborted ? signal.reason : broke)
    })
    asked.end()
  })
}

function switchOver(response: ServerResponse, client: Duplex, message: IncomingMessage): void {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'connection: Upgrade',
    'upgrade: websocket',
    ...fieldLines(responseFields(fieldRecord(message.rawHeaders))),
  ]
  response.detachSocket(client as Socket)
  client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

function relay(message: IncomingMessage, response: ServerResponse): Promise<Outcome['end']> {
  return new Promise((resolve, reject) => {
    response.sendDate = false
    response.writeHead(message.statusCode ?? 502, responseFields(fieldRecord(message.rawHeaders)))
    response.once('finish', () => resolve('complete'))
    message.once('error', reject)
    message.pipe(response)
  })
}
