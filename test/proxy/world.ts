import { once } from 'node:events'
import { connect as connectNet, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { Secret } from '../../src/lib/secret.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'
import type {
  EngineRefusal,
  Gate,
  JudgedRequest,
  Outcome,
  Refusal,
  Route,
  Target,
  Verdict,
} from '../../src/proxy/gate.ts'
import type { Limits } from '../../src/proxy/limits.ts'
import { type Listener, openListener } from '../../src/proxy/listener.ts'
import { echoUpstream, plainUpstream, tlsUpstream, type Upstream } from './upstream.ts'

export const REAL_KEY = 'real-key-7f3a'
export const PHANTOM = 'phantom-1c9d'

export const GATE_REFUSAL: Refusal = {
  status: 403,
  fields: [['content-type', 'application/problem+json']],
  body: '{"code":"operation_denied"}',
}

type Judge = (request: JudgedRequest, signal: AbortSignal) => Promise<Verdict>
type Routing = (target: Target) => Promise<Route>

/**
 * One lease's proxy between real servers: `api.test` is intercepted (TLS), `plain.test` (HTTP, port
 * 80) as well, `open.test` is tunnelled, everything else refused. Names resolve to this machine.
 */
export class World implements Gate {
  readonly judged: JudgedRequest[] = []
  readonly routed: Target[] = []
  readonly outcomes: Outcome[] = []
  readonly refusals: EngineRefusal[] = []
  readonly #sockets = new Set<Socket>()
  judging: Judge = async () => this.allow()
  routing: Routing = async (target) => this.defaultRoute(target)
  listener!: Listener
  api!: Upstream
  plain!: Upstream
  echo!: Upstream
  upstreamCa!: CertificateAuthority

  static async open(limits: Partial<Limits> = {}): Promise<World> {
    const world = new World()
    const notAfter = new Date(Date.now() + 3_600_000)
    world.upstreamCa = await CertificateAuthority.create('upstream', new Date(), notAfter)
    world.api = await tlsUpstream(world.upstreamCa, 'api.test')
    world.plain = await plainUpstream()
    world.echo = await echoUpstream()
    world.listener = await openListener({
      lease: 'lse_test',
      gate: world,
      at: 'loopback',
      notAfter,
      limits,
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    })
    return world
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await this.listener.close()
    this.api.close()
    this.plain.close()
    this.echo.close()
  }

  clear(): void {
    this.judged.length = 0
    this.routed.length = 0
    this.outcomes.length = 0
    this.refusals.length = 0
    this.api.clear()
    this.plain.clear()
    this.judging = async () => this.allow()
    this.routing = async (target) => this.defaultRoute(target)
  }

  /** What a provider's gate would say: take the phantom out, put the key in, go to the test server. */
  allow(more: Partial<Extract<Verdict, { kind: 'allow' }>> = {}): Verdict {
    const last = this.judged.at(-1)
    const origin =
      last?.scheme === 'http'
        ? `http://plain.test:${this.plain.port}`
        : `https://api.test:${this.api.port}`
    return {
      kind: 'allow',
      remove: ['x-phantom'],
      set: [['authorization', new Secret(`Bearer ${REAL_KEY}`)]],
      upstream: { origin, ca: this.upstreamCa.pem, reserved: true },
      ...more,
    }
  }

  defaultRoute({ host }: Target): Route {
    if (host === 'api.test' || host === 'plain.test') return { kind: 'intercept' }
    if (host === 'open.test' || host === '127.0.0.1') {
      return { kind: 'tunnel', withoutName: 'refuse', otherProtocols: 'refuse', reserved: true }
    }
    return { kind: 'refuse', refusal: { ...GATE_REFUSAL, body: '{"code":"egress_denied"}' } }
  }

  async route(target: Target): Promise<Route> {
    this.routed.push(target)
    return this.routing(target)
  }

  async judge(request: JudgedRequest, signal: AbortSignal): Promise<Verdict> {
    this.judged.push(request)
    return this.judging(request, signal)
  }

  outcome(outcome: Outcome): void {
    this.outcomes.push(outcome)
  }

  refused(refusal: EngineRefusal): void {
    this.refusals.push(refusal)
  }

  /** Requests of which any part reached a server. */
  get reached(): number {
    return this.api.heads + this.plain.heads
  }

  async raw(): Promise<Socket> {
    const socket = connectNet({
      port: this.listener.port,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    })
    this.#sockets.add(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  /** A connection past CONNECT. */
  async through(authority: string): Promise<Socket> {
    const socket = await this.raw()
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    const head = await headOf(socket)
    if (!head.startsWith('HTTP/1.1 200')) throw new Error(`CONNECT refused: ${head}`)
    return socket
  }

  /** TLS to the proxy's own end, as a client that trusts the task's CA. */
  async tls(authority = 'api.test:443', options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = await this.through(authority)
    const tls = connectTls({
      socket,
      servername: 'api.test',
      ca: this.listener.ca,
      ALPNProtocols: ['http/1.1'],
      ...options,
    })
    tls.on('error', () => {})
    await once(tls, 'secureConnect')
    return tls
  }
}

/** The head of an answer, byte by byte so that nothing behind it is taken away. */
export async function headOf(socket: Socket): Promise<string> {
  let text = ''
  while (!text.endsWith('\r\n\r\n')) {
    const byte = socket.read(1)
    if (byte) text += byte.toString('latin1')
    else if (socket.readableEnded || socket.destroyed) return text
    else await new Promise<void>((more) => socket.once('readable', more).once('close', more))
  }
  return text
}

/** All that comes until the other side ends, or until `enough` says so. */
export async function readUntil(
  socket: Socket,
  enough: (text: string) => boolean = () => false,
): Promise<string> {
  let text = ''
  return new Promise((resolve) => {
    const take = (piece: Buffer) => {
      text += piece.toString('latin1')
      if (enough(text)) finish()
    }
    const finish = () => {
      socket.off('data', take)
      resolve(text)
    }
    socket.on('data', take).once('end', finish).once('close', finish)
  })
}

export interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** The first answer on a connection, its body by its length. */
export async function answerOn(socket: Socket): Promise<Answer | undefined> {
  const text = await readUntil(socket, (sofar) => {
    const end = sofar.indexOf('\r\n\r\n')
    if (end < 0) return false
    const length = /content-length: (\d+)/i.exec(sofar.slice(0, end))
    if (length) return sofar.length >= end + 4 + Number(length[1])
    return /transfer-encoding: chunked/i.test(sofar.slice(0, end)) && sofar.endsWith('0\r\n\r\n')
  })
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  return { status: Number(head.split(' ')[1]), head, body: text.slice(end + 4) }
}

export async function until(what: string, condition: () => boolean, timeoutMs = 10_000) {
  const end = Date.now() + timeoutMs
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never: ${what}`)
    await new Promise((again) => setTimeout(again, 5))
  }
}
