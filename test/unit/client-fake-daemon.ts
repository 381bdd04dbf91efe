import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClientFrame, DaemonFrame } from '../../src/api/session.ts'
import type { ApprovalView, LeaseView, ProxyView } from '../../src/api/types.ts'
import { callerOf } from '../../src/client/caller.ts'
import { VERSION } from '../../src/client/version.ts'
import { resolveHome } from '../../src/lib/home.ts'

export const LEASE = {
  id: 'lse_01m7yqwkgywv3ze5n3wze3myq6',
  state: 'active',
  environment: 'staging',
  template: { name: 'default', version: 1, sha256: 'x' },
  isolation: 'scrub',
  issuedAt: '2026-01-01T00:00:00.000Z',
  expiresAt: '2026-01-01T00:30:00.000Z',
  endedAt: null,
  foreignCredentials: [],
  grants: [],
} as unknown as LeaseView

export const APPROVAL_ID = 'apr_01m7yqwkgywv3ze5n3wze3myq7'

export function approval(leftMs = 600_000): ApprovalView {
  const lapsesAt = new Date(Date.now() + leftMs).toISOString()
  return { id: APPROVAL_ID, kind: 'lease', state: 'pending', lapsesAt } as ApprovalView
}

type Send = (frame: DaemonFrame) => void

/** The daemon's side of the protocol, over a real socket; tests say what it answers. */
export class FakeDaemon {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-'))
  readonly seen: ClientFrame[] = []
  /** Method and path of what came over plain HTTP. */
  readonly asked: string[] = []
  readonly open: Socket[] = []
  readonly daemon: { pid: number; version: string }
  readonly server: Server
  answer: (frame: ClientFrame, send: Send, socket: Socket) => void = (frame, send) =>
    this.usual(frame, send)
  upgrade: (request: IncomingMessage, socket: Socket) => boolean = () => true
  http: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => {
    response.end(JSON.stringify({ status: 'ok', ...this.daemon, socket: '', home: '' }))
  }

  constructor(version = VERSION) {
    this.daemon = { pid: process.pid, version }
    for (const name of ['run', 'config', 'state']) {
      mkdirSync(join(this.folder, name), { mode: 0o700 })
    }
    writeFileSync(join(this.folder, 'config', 'operator.key'), 'bko_key\n')
    this.server = createServer((request, response) => {
      this.asked.push(`${request.method} ${request.url}`)
      this.http(request, response)
    })
    this.server.on('upgrade', (request, raw, head) => this.#upgraded(request, raw as Socket, head))
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.server.listen(this.place().home.socket, resolve))
  }

  close(): void {
    for (const socket of this.open) socket.destroy()
    this.server.close()
    rmSync(this.folder, { recursive: true })
  }

  place(env: NodeJS.ProcessEnv = {}) {
    const all = { PATH: process.env['PATH'], BROKER_HOME: this.folder, ...env }
    const home = resolveHome(all)
    const caller = callerOf(home, all)
    return { env: all, home, caller, distFolder: '/nonexistent', cwd: this.folder }
  }

  types(): string[] {
    return this.seen.map((frame) => frame.type)
  }

  grant(proxy: ProxyView | null = null): DaemonFrame {
    const variables = { V: 'v' }
    const { daemon } = this
    return { type: 'lease', lease: LEASE, variables, proxy, place: null, secret: 's', daemon }
  }

  /** A proxy as the lease frame tells of it, with its files. */
  proxy(bundle = ''): ProxyView {
    const folder = join(this.folder, 'run', 'tasks')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(join(folder, 'bundle.pem'), bundle)
    return {
      url: 'http://127.0.0.1:4321',
      caFile: join(folder, 'ca.pem'),
      bundleFile: join(folder, 'bundle.pem'),
      gitHeaders: [],
    }
  }

  usual(frame: ClientFrame, send: Send): void {
    const { daemon } = this
    if (frame.type === 'request') send(this.grant())
    if (frame.type === 'ack') send({ type: 'bound' })
    if (frame.type === 'resume') send({ type: 'resumed', daemon })
    if (frame.type === 'detach') send({ type: 'detached' })
    if (frame.type === 'ping') send({ type: 'pong' })
    if (frame.type === 'end') {
      send({ type: 'ended', lease: { ...LEASE, state: 'revoked' }, elapsedMs: 5 })
    }
  }

  #upgraded(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.open.push(socket)
    socket.on('error', () => {})
    if (!this.upgrade(request, socket)) return
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    const send: Send = (frame) => socket.write(`${JSON.stringify(frame)}\n`)
    createInterface({ input: socket }).on('line', (line) => {
      const frame = JSON.parse(line) as ClientFrame
      this.seen.push(frame)
      this.answer(frame, send, socket)
    })
  }
}
