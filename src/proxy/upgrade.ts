import {
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { formatAuthority } from './authority.ts'
import { outgoingFields } from './decide.ts'
import type { Carry } from './exchange.ts'
import { responseFields } from './fields.ts'
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
 * Carries a judged WebSocket handshake: the frames after `101` pass unread, any other answer goes
 * back as it is.
 */
export function webSocket(response: ServerResponse, client: Duplex, head: Buffer): Carry {
  return async (engine, { request, allow }, origin, progress, signal) => {
    const upstream =
      origin.scheme === 'https'
        ? await engine.dialer.secure(origin, origin.ca, ['http/1.1'])
        : await engine.dialer.plain(origin)
    try {
      signal.throwIfAborted()
      const fields = outgoingFields(request, allow)
      fields.push('host', formatAuthority(origin.scheme, origin.host, origin.port))
      fields.push('connection', 'Upgrade', 'upgrade', 'websocket')
      const { target: path, method } = request
      const asked = send({ createConnection: () => upstream, path, method, headers: fields })
      const answer = await answerTo(asked, origin, signal)
      progress.status = answer.message.statusCode
      if (answer.socket) {
        if (answer.head.length > 0) answer.socket.unshift(answer.head)
        switchOver(response, client, answer.message)
        if (head.length > 0) client.unshift(head)
        await join(client, answer.socket)
      } else await relay(answer.message, response)
    } finally {
      progress.bytesUp = upstream.bytesWritten
      progress.bytesDown = upstream.bytesRead
      upstream.destroy()
    }
  }
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
  const fields = responseFields(message.rawHeaders)
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}\r\n`),
  )
  if ('detachSocket' in response) response.detachSocket(client as never)
  client.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n${lines.join('')}\r\n`,
    'latin1',
  )
}

function relay(message: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    response.sendDate = false
    response.writeHead(message.statusCode ?? 502, responseFields(message.rawHeaders))
    response.once('finish', resolve)
    message.once('error', reject)
    message.pipe(response)
  })
}
