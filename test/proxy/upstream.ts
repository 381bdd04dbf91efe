import { createHash } from 'node:crypto'
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createNet, type Server, type Socket } from 'node:net'
import type { CertificateAuthority } from '../../src/proxy/certificates.ts'

/** One request exactly as it arrived. */
export interface Arrived {
  readonly method: string
  readonly url: string
  readonly fields: readonly string[]
  readonly body: Buffer
  readonly trailers: readonly string[]
}

/** A server that records all it gets, whole or not: the oracle of what left the proxy. */
export class Upstream {
  readonly arrived: Arrived[] = []
  /** Requests whose head came, also those whose body never ended. */
  heads = 0
  connections = 0
  readonly open = new Set<Socket>()
  readonly #server: Server

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.connections++
      this.open.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.open.delete(socket))
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async listen(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    return this
  }

  clear(): void {
    this.arrived.length = 0
    this.heads = 0
  }

  close(): void {
    for (const socket of this.open) socket.destroy()
    this.#server.close()
  }
}

export async function tlsUpstream(ca: CertificateAuthority, name: string): Promise<Upstream> {
  const { chain, key } = await ca.leaf(name)
  const server = createServer({ cert: chain, key: key.reveal() })
  return recording(server).listen()
}

export const plainUpstream = () => recording(createPlain()).listen()

/** Speaks first, then repeats what it hears. */
export async function echoUpstream(): Promise<Upstream> {
  const server = createNet({ allowHalfOpen: true }, (socket) => {
    socket.write('hello\n')
    socket.pipe(socket)
  })
  return new Upstream(server).listen()
}

function recording(server: ReturnType<typeof createServer> | ReturnType<typeof createPlain>) {
  const upstream = new Upstream(server)
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    upstream.heads++
    const hash = createHash('sha256')
    const pieces: Buffer[] = []
    let size = 0
    request.on('data', (piece: Buffer) => {
      size += piece.length
      hash.update(piece)
      if (size < 1e6) pieces.push(piece)
    })
    const special = BEHAVIOURS[new URL(request.url ?? '/', 'http://x').pathname]
    if (special?.early) special.answer(request, response, '')
    request.on('end', () => {
      upstream.arrived.push({
        method: request.method ?? '',
        url: request.url ?? '',
        fields: request.rawHeaders,
        body: Buffer.concat(pieces),
        trailers: request.rawTrailers,
      })
      const digest = `${size} ${hash.digest('hex')}`
      if (special) {
        if (!special.early) special.answer(request, response, digest)
      } else response.end(`fine ${request.method} ${request.url} ${digest}`)
    })
    request.on('error', () => {})
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    upstream.heads++
    upstream.arrived.push({
      method: request.method ?? '',
      url: request.url ?? '',
      fields: request.rawHeaders,
      body: Buffer.alloc(0),
      trailers: [],
    })
    if (request.url === '/no-socket') {
      socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnope')
      return
    }
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    )
    socket.on('data', (frame) => socket.write(unmasked(frame)))
    socket.on('end', () => socket.end())
  })
  return upstream
}

/** One short client frame sent back as a server frame (RFC 6455 §5.2). */
function unmasked(frame: Buffer): Buffer {
  const length = (frame[1] ?? 0) & 0x7f
  const mask = frame.subarray(2, 6)
  const data = Buffer.from(frame.subarray(6, 6 + length))
  for (let at = 0; at < data.length; at++) data[at] = (data[at] ?? 0) ^ (mask[at % 4] ?? 0)
  return Buffer.concat([Buffer.from([frame[0] ?? 0, length]), data])
}

interface Behaviour {
  /** Answers before the body is there. */
  readonly early?: true
  answer(request: IncomingMessage, response: ServerResponse, digest: string): void
}

export const MEGABYTE = Buffer.alloc(1024 * 1024, 'm')

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  '/hang': { answer: () => {} },
  '/stream': {
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: one\n\n')
    },
  },
  '/break': {
    answer: (_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half')
      setImmediate(() => response.socket?.destroy())
    },
  },
  '/drop': { answer: (request) => request.socket.destroy() },
  '/early': {
    early: true,
    answer: (_request, response) => {
      response.writeHead(413, { connection: 'close' })
      response.end('too much')
    },
  },
  '/trailers': {
    answer: (_request, response) => {
      response.writeHead(200, { trailer: 'x-check' })
      response.write('body')
      response.addTrailers({ 'x-check': 'sum', 'Broker-Decision': 'forged' })
      response.end()
    },
  },
  '/forge': {
    answer: (_request, response) => {
      response.writeHead(200, {
        'broker-decision': 'deny',
        'proxy-authenticate': 'Basic',
        'alt-svc': 'h3=":443"',
        connection: 'x-private',
        'x-private': '1',
        'set-cookie': ['a=1', 'b=2'],
        'x-latin': 'caf\u00e9',
      })
      response.end('ok')
    },
  },
  '/down': {
    answer: (_request, response) => {
      response.writeHead(200, { 'content-length': String(100 * MEGABYTE.length) })
      let left = 100
      const more = () => {
        while (left-- > 0) if (!response.write(MEGABYTE)) return response.once('drain', more)
        return response.end()
      }
      more()
    },
  },
  '/nothing': { answer: (_request, response) => response.writeHead(204).end() },
  '/moved': {
    answer: (_request, response) =>
      response.writeHead(302, { location: 'https://elsewhere.test/' }).end(),
  },
}
