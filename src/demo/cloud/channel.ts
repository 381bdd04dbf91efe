import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { isObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Reply } from './reply.ts'

/** The protocol of Railway's websocket (graphql-ws, PROTOCOL.md). */
const PROTOCOL = 'graphql-transport-ws'

/** What the server does for one websocket. */
export interface ChannelHandler {
  /** Everything that arrives, before anything is done about it. */
  readonly heard: (text: string) => void
  /** Runs one document; `subscribes` says whether more could follow. */
  readonly run: (body: string) => { readonly reply: Reply; readonly subscribes: boolean }
}

const servers = new WebSocketServer({ noServer: true, handleProtocols: () => PROTOCOL })

/** True where the request asks for the protocol that is spoken here. */
export function speaksProtocol({ headers }: IncomingMessage): boolean {
  const offered = headers['sec-websocket-protocol']?.split(',').map((each) => each.trim())
  return offered?.includes(PROTOCOL) ?? false
}

/**
 * Answers a websocket's messages. A subscription gets what there is at this moment and stays open:
 * here everything happens at once, so there is nothing to follow it.
 */
export function openChannel(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  handler: ChannelHandler,
): void {
  servers.handleUpgrade(request, socket, head, (open) => {
    const running = new Set<string>()
    let greeted = false
    open.on('error', () => {}) // whoever cut it knows
    open.on('message', (data, isBinary) => {
      const text = data.toString()
      handler.heard(text)
      const message = isBinary ? null : parseObject(text)
      if (message?.['type'] === 'connection_init') {
        greeted = true
        send(open, { type: 'connection_ack' })
      } else if (!greeted) open.close(4401, 'Unauthorized')
      else if (message) take(open, message, running, handler)
      else open.close(4400, 'Invalid message')
    })
  })
}

function take(
  open: WebSocket,
  message: JsonObject,
  running: Set<string>,
  handler: ChannelHandler,
): void {
  const { type, id, payload } = message
  if (type === 'ping') send(open, { type: 'pong' })
  else if (type === 'complete' && typeof id === 'string') running.delete(id)
  else if (type === 'subscribe' && typeof id === 'string' && isObject(payload)) {
    if (running.has(id)) open.close(4409, `Subscriber for ${id} already exists`)
    else if (answer(open, id, payload, handler)) running.add(id)
  } else if (type !== 'pong') open.close(4400, 'Invalid message')
}

/** True where it stays open. */
function answer(open: WebSocket, id: string, payload: JsonObject, { run }: ChannelHandler) {
  const { reply, subscribes } = run(JSON.stringify(payload))
  const told = reply.body as JsonObject
  // Nothing was run: the error is the last word about this id.
  if (told['data'] === undefined) send(open, { id, type: 'error', payload: told['errors'] ?? [] })
  else send(open, { id, type: 'next', payload: told })
  if (told['data'] !== undefined && !subscribes) send(open, { id, type: 'complete' })
  return subscribes
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: Json = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function send(open: WebSocket, message: JsonObject): void {
  open.send(JSON.stringify(message))
}
