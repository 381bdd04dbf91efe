import { once } from 'node:events'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'

/** What a client sees of its WebSocket, in the order in which it comes. */
export class SocketClient {
  readonly socket: WebSocket
  readonly messages: { readonly text: string; readonly isBinary: boolean }[] = []
  readonly pongs: string[] = []
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('message', (data, isBinary) =>
      this.messages.push({ text: data.toString(), isBinary }),
    )
    socket.on('pong', (data) => this.pongs.push(data.toString()))
    this.closed = new Promise((resolve) =>
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    )
  }

  get texts(): readonly string[] {
    return this.messages.map(({ text }) => text)
  }
}

export interface Asking {
  readonly url: string
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** Opens a WebSocket on a connection past its TLS; throws with the status where it is refused. */
export async function openSocket(connection: Socket, asking: Asking): Promise<SocketClient> {
  const socket = new WebSocket(asking.url, [...(asking.protocols ?? [])], {
    createConnection: () => connection,
    perMessageDeflate: true,
    ...(asking.headers && { headers: { ...asking.headers } }),
  })
  const client = new SocketClient(socket)
  const refused = new Promise<never>((_, reject) => {
    socket.once('unexpected-response', async (_request, answer) => {
      let text = ''
      for await (const piece of answer) text += piece
      reject(new HandshakeRefused(answer.statusCode ?? 0, answer.headers, text))
    })
  })
  await Promise.race([once(socket, 'open'), refused])
  return client
}

export class HandshakeRefused extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string

  constructor(status: number, headers: HandshakeRefused['headers'], text: string) {
    super(`refused with ${status}`)
    this.status = status
    this.headers = headers
    this.text = text
  }
}

export const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

/** One frame of a client, as RFC 6455 §5.2 has it or not. */
export function frame(
  payload: string | Buffer,
  { first = 0x81, mask = true }: { readonly first?: number; readonly mask?: boolean } = {},
): Buffer {
  const data = Buffer.from(payload)
  const key = Buffer.from([1, 2, 3, 4])
  const size =
    data.length < 126
      ? Buffer.from([data.length])
      : data.length < 65_536
        ? Buffer.from([126, data.length >> 8, data.length & 255])
        : Buffer.from([127, 0, 0, 0, 0, ...uint32(data.length)])
  if (!mask) return Buffer.concat([Buffer.from([first]), size, data])
  size[0] = (size[0] ?? 0) | 0x80
  for (let at = 0; at < data.length; at++) data[at] = (data[at] ?? 0) ^ (key[at % 4] ?? 0)
  return Buffer.concat([Buffer.from([first]), size, key, data])
}

function uint32(value: number): readonly number[] {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return [...bytes]
}
