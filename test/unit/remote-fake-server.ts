import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClientFrame, DaemonFrame, RelayView } from '../../src/api/session.ts'
import type { LeaseView } from '../../src/api/types.ts'
import { ServerEnd } from '../../src/client/server-end.ts'
import { upgraderTo } from '../../src/client/server-upgrade.ts'
import { resolveHome } from '../../src/lib/home.ts'
import { Secret } from '../../src/lib/secret.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'
import { LEASE } from './client-fake-daemon.ts'

/** In the form of one; nobody looks at its content here. */
export const TOKEN = 'aWRlbnRpdHk.Y2FuYXJ5LXRva2Vu.c2lnbmF0dXJl'
export const HANDLE = 'bkh_canary-handle'

type Send = (frame: DaemonFrame) => void

/** What came, as far as it says who asks for what. */
export interface Arrived {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

/** A server's side of the session, over real TLS; tests say what it answers. */
export class FakeServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'remote-'))
  readonly arrived: Arrived[] = []
  readonly seen: ClientFrame[] = []
  readonly open: Socket[] = []
  readonly ca: string
  readonly https: HttpsServer
  answer: (frame: ClientFrame, send: Send, socket: Socket) => void = (frame, send) =>
    this.usual(frame, send)
  /** False: it has answered by itself. */
  upgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => boolean = () => true
  http: (request: IncomingMessage, response: ServerResponse, body: string) => void = (
    _,
    response,
  ) => response.writeHead(404).end('{}')
  relay: RelayView | null = null
  #port = 0

  private constructor(ca: string, https: HttpsServer) {
    this.ca = ca
    this.https = https
    writeFileSync(join(this.folder, 'ca.pem'), ca)
    https.on('secureConnection', (socket: Socket) => {
      socket.on('error', () => {})
      this.open.push(socket)
    })
    https.on('request', (request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      request.on('end', () => {
        this.#note(request, body)
        this.http(request, response, body)
      })
    })
    https.on('upgrade', (request, socket: Socket, head) => this.#upgraded(request, socket, head))
  }

  static async start(name = '127.0.0.1'): Promise<FakeServer> {
    const end = new Date(Date.now() + 3_600_000)
    const authority = await CertificateAuthority.create('server', new Date(), end)
    const { chain, key } = await authority.leaf(name)
    const fake = new FakeServer(authority.pem, createServer({ cert: chain, key: key.reveal() }))
    await fake.listen()
    return fake
  }

  listen(): Promise<void> {
    return new Promise((done) =>
      this.https.listen(this.#port, '127.0.0.1', () => {
        this.#port = (this.https.address() as AddressInfo).port
        done()
      }),
    )
  }

  /** As a process that is killed. */
  async stop(): Promise<void> {
    const stopped = new Promise((done) => this.https.close(done))
    for (const socket of this.open.splice(0)) socket.destroy()
    await stopped
  }

  async close(): Promise<void> {
    if (this.https.listening) await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  end(more: Partial<ConstructorParameters<typeof ServerEnd>[0]> = {}): ServerEnd {
    const server = { url: this.url, ca: this.ca }
    const upgrade = upgraderTo(server, {})
    return new ServerEnd({ server, env: {}, opener: new Secret(TOKEN), upgrade, ...more })
  }

  place(env: NodeJS.ProcessEnv = {}) {
    const all = {
      PATH: process.env['PATH'],
      BROKER_HOME: join(this.folder, 'home'),
      BROKER_CA_FILE: join(this.folder, 'ca.pem'),
      ...env,
    }
    return { env: all, home: resolveHome(all), distFolder: '/nonexistent', cwd: this.folder }
  }

  types(): string[] {
    return this.seen.map((frame) => frame.type)
  }

  lease(more: object = {}): LeaseView {
    return { ...LEASE, ...more } as LeaseView
  }

  usual(frame: ClientFrame, send: Send): void {
    const daemon = { pid: 1, version: '9.9.9' }
    if (frame.type === 'request') {
      const variables = { V: 'v', BROKER_HANDLE: HANDLE, BROKER_SOCKET: '/of/the/server' }
      const { relay } = this
      const lease = this.lease()
      send({
        type: 'lease',
        lease,
        variables,
        proxy: null,
        place: null,
        relay,
        secret: 's',
        daemon,
      })
    }
    if (frame.type === 'ack') send({ type: 'bound' })
    if (frame.type === 'resume') send({ type: 'resumed', daemon })
    if (frame.type === 'detach') send({ type: 'detached' })
    if (frame.type === 'ping') send({ type: 'pong' })
    if (frame.type === 'end') {
      send({ type: 'ended', lease: this.lease({ state: 'revoked' }), elapsedMs: 5 })
    }
  }

  #note({ method = '', url = '', headers }: IncomingMessage, body: string): void {
    this.arrived.push({ method, path: url, authorization: headers.authorization, body })
  }

  #upgraded(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#note(request, '')
    if (!this.upgrade(request, socket, head)) return
    const { upgrade } = request.headers
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${upgrade}\r\n\r\n`,
    )
    if (head.length > 0) socket.unshift(head)
    const send: Send = (frame) => socket.write(`${JSON.stringify(frame)}\n`)
    createInterface({ input: socket }).on('line', (line) => {
      const frame = JSON.parse(line) as ClientFrame
      this.seen.push(frame)
      this.answer(frame, send, socket)
    })
  }
}
