import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { refusalFor, writeRefusal } from './answer.ts'
import { askRoute } from './ask.ts'
import { parseAuthority } from './authority.ts'
import { type Engine, report, type Seat, seat, seatOf } from './engine.ts'
import { firstBytes } from './first-bytes.ts'
import type { Outcome, Target, Tunnel } from './gate.ts'
import { malformed, Refused } from './refusal.ts'
import { channelTo } from './request-head.ts'
import { join } from './tunnel.ts'

/** Where a connection goes once it is known what it speaks. */
export interface Ends {
  tls(socket: Socket, name: string, where: Seat): Promise<void>
  http(socket: Socket): void
}

/** A CONNECT on its way: until it is established a refusal is a readable answer, afterwards a cut. */
interface Opening {
  readonly engine: Engine
  readonly ends: Ends
  readonly socket: Socket
  readonly head: Buffer
  established: boolean
}

/**
 * CONNECT: the name the client asks for is routed first, then it is seen what the client really
 * speaks and to whom; only then are the bytes read here, or passed on unread.
 */
export async function connect(
  engine: Engine,
  ends: Ends,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  const opening: Opening = { engine, ends, socket, head, established: false }
  let target: Target | undefined
  try {
    engine.ended.throwIfAborted()
    target = readTarget(request)
    const route = await askRoute(engine, target)
    if (route.kind === 'tunnel') await tunnel(opening, target, route)
    else await intercept(opening, target)
  } catch (error) {
    const cause = engine.ended.aborted ? engine.ended.reason : error
    const refusal = refusalFor(engine, cause, { target })
    if (opening.established) socket.destroy()
    else writeRefusal(socket, refusal)
  }
}

function readTarget(request: IncomingMessage): Target {
  if (seatOf(request.socket)) throw malformed('a CONNECT inside a connection to an origin')
  const names = request.rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
  if (names.includes('content-length') || names.includes('transfer-encoding')) {
    throw malformed('a CONNECT with a body')
  }
  const { host, port } = parseAuthority(request.url ?? '')
  if (port === undefined) throw malformed('a CONNECT without a port')
  const values = request.rawHeaders.filter((_, at) => at % 2 === 1)
  for (const [at, name] of names.entries()) {
    if (name !== 'host') continue
    const named = parseAuthority(values[at] ?? '')
    if (named.host !== host || (named.port ?? port) !== port) {
      throw malformed('the Host field is not the host of the CONNECT')
    }
  }
  return { host, port, from: 'connect' }
}

function establish(opening: Opening): void {
  opening.engine.ended.throwIfAborted()
  opening.established = true
  opening.socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
}

async function intercept(opening: Opening, target: Target): Promise<void> {
  const { engine, ends, socket } = opening
  establish(opening)
  const first = await firstBytes(socket, opening.head, engine.limits.helloMs)
  if (first.kind === 'tls') {
    const name = first.serverName ?? target.host
    await ends.tls(socket, name, name === target.host ? secure(target) : otherName())
  } else if (first.kind === 'http') {
    ends.http(seat(socket, { channel: channelTo('http', target, 'intercept', false) }))
  } else throw new Refused('egress_denied', 'only TLS and HTTP are spoken to this host')
}

async function tunnel(opening: Opening, target: Target, route: Tunnel): Promise<void> {
  const { engine, ends, socket } = opening
  const reserved = route.reserved ?? false
  // Before the 200: a host that cannot be reached is still a clear answer then.
  const upstream = await engine.dialer.plain({ host: target.host, port: target.port, reserved })
  const cut = () => socket.destroy()
  try {
    establish(opening)
    upstream.once('close', cut)
    const open = route.otherProtocols === 'pass'
    // The server may speak first; what the client says is looked at all the same.
    if (open) upstream.pipe(socket, { end: false })
    const first = await firstBytes(socket, opening.head, open ? undefined : engine.limits.helloMs)
    upstream.off('close', cut)
    if (first.kind === 'http') {
      upstream.destroy()
      ends.http(seat(socket, { channel: channelTo('http', target, 'tunnel', reserved) }))
      return
    }
    if (first.kind === 'tls') {
      const caught = await nameCaught(engine, target, route, first.serverName)
      if (caught) {
        upstream.destroy()
        await ends.tls(socket, caught, otherName())
        return
      }
    } else if (first.kind === 'nothing' || !open) {
      throw new Refused('egress_denied', 'only TLS and HTTP are spoken to this host')
    }
    upstream.unpipe(socket)
    await carry(engine, target, socket, upstream)
  } finally {
    upstream.destroy()
  }
}

/**
 * The name in the ClientHello is where the bytes end up, whatever the CONNECT said. Returns it when
 * it is an intercepted host: the client is then told, in TLS, why nothing passes.
 */
async function nameCaught(
  engine: Engine,
  target: Target,
  route: Tunnel,
  name: string | undefined,
): Promise<string | undefined> {
  if (name === undefined) {
    if (route.withoutName === 'pass') return undefined
    throw new Refused('egress_denied', 'TLS without a server name is not passed on')
  }
  if (name === target.host) return undefined
  const actual = await askRoute(engine, { host: name, port: target.port, from: 'name' })
  return actual.kind === 'intercept' ? name : undefined
}

async function carry(
  engine: Engine,
  target: Target,
  socket: Socket,
  upstream: Socket,
): Promise<void> {
  const started = performance.now()
  const ended = await join(socket, upstream)
  const outcome: Outcome = {
    kind: 'tunnel',
    target,
    status: undefined,
    bytesUp: upstream.bytesWritten,
    bytesDown: upstream.bytesRead,
    durationMs: performance.now() - started,
    end: engine.ended.aborted ? 'lease_ended' : ended,
  }
  report(engine.gate, { outcome })
}

const secure = (target: Target): Seat => ({
  channel: channelTo('https', target, 'intercept', false),
})
const otherName = (): Seat => ({
  refused: malformed('the TLS server name is not the host of the CONNECT'),
})
