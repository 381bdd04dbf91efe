import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Incoming, type Outgoing, refusalFor, sendRefusal, writeRefusal } from './answer.ts'
import { askRoute } from './ask.ts'
import { parseAuthority } from './authority.ts'
import { type Engine, type Seat, seatOf } from './engine.ts'
import { type Arrival, exchange } from './exchange.ts'
import { malformed, Refused } from './refusal.ts'
import { type Channel, channelTo, type RawHead } from './request-head.ts'
import { webSocket } from './upgrade.ts'

interface Current {
  readonly request: Incoming
  readonly response: Outgoing
  readonly abort: AbortController
}

const isOver = ({ response }: Current) => response.writableEnded || response.destroyed

/** Takes what the parsers hand over and starts an exchange for each request. */
export class Requests {
  readonly #engine: Engine
  /** The exchange under way on each HTTP/1 connection. */
  readonly #current = new WeakMap<object, Current>()

  readonly #broken = new WeakSet<Socket>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  take(request: Incoming, response: Outgoing, waits: boolean): void {
    if ('stream' in request) {
      const { session } = request.stream
      const seat = (session && seatOf(session)) ?? UNSEATED
      const raw = rawHead(request, undefined)
      const abort = new AbortController()
      this.#start({ raw, request, response, waits, abort }, seat)
      return
    }
    const abort = new AbortController()
    if (this.#pipelined(request, response, abort)) return
    const raw = rawHead(request, undefined)
    this.#start({ raw, request, response, waits, abort }, seatOf(request.socket))
  }

  upgrade(request: IncomingMessage, response: ServerResponse, socket: Socket, head: Buffer): void {
    const abort = new AbortController()
    if (this.#pipelined(request, response, abort)) return
    const raw = rawHead(request, 'websocket')
    const carry = webSocket(response, socket, head)
    this.#start({ raw, request, response, waits: false, abort, carry }, seatOf(socket))
  }

  /** An `Expect` that is not `100-continue`. */
  unexpected(request: IncomingMessage, response: ServerResponse): void {
    this.#refuse(request, response, malformed('the expectation is not one we know'))
  }

  /** A head or a body that the parser gave up on, or one that came too slowly. */
  broken(error: NodeJS.ErrnoException, socket: Socket): void {
    // The parser repeats itself for every further piece that comes.
    if (this.#broken.has(socket)) return
    this.#broken.add(socket)
    const current = this.#current.get(socket)
    // The rest of a body that nobody wanted: its request has had its answer.
    const unwanted = current && isOver(current) && !(current.request as IncomingMessage).complete
    if (!socket.writable || error.code === 'ECONNRESET' || unwanted) socket.destroy()
    else if (current && !isOver(current)) {
      // Its own answer says so, if it has not begun; two answers to one request would be a lie. It
      // is the last one: the parser is of no more use, and nobody else closes such a connection.
      if (!('stream' in current.response)) current.response.shouldKeepAlive = false
      // What came behind a whole request is none of its business: it may be carried out by now.
      if ((current.request as IncomingMessage).complete) {
        current.response.once('finish', () => socket.destroySoon())
      } else current.abort.abort(parserRefusal(error))
    } else writeRefusal(socket, refusalFor(this.#engine, parserRefusal(error), {}))
  }

  /**
   * HTTP/1.1 lets a client send the next request before the answer to the last one. Judged side by
   * side they could change places, so a second one is refused and the connection ends with it.
   */
  #pipelined(request: IncomingMessage, response: Outgoing, abort: AbortController): boolean {
    const current = this.#current.get(request.socket)
    if (!current || isOver(current)) {
      this.#current.set(request.socket, { request, response, abort })
      return false
    }
    this.#refuse(request, response, malformed('the request came before the last one was answered'))
    return true
  }

  #refuse(request: Incoming, response: Outgoing, refused: Refused): void {
    const refusal = refusalFor(this.#engine, refused, {})
    sendRefusal(this.#engine, request, response, refusal, true)
  }

  #start(arrival: Omit<Arrival, 'channel'>, seat: Seat | undefined): void {
    const channel = () => {
      if (!seat) return plainChannel(this.#engine, arrival.raw)
      if ('refused' in seat) throw seat.refused
      return seat.channel
    }
    // An answer that cannot be given (a refusal with an impossible status) ends the connection.
    exchange(this.#engine, { ...arrival, channel }).catch(() => arrival.response.destroy())
  }
}

/** A request to the proxy itself has to say in its first line where it goes (RFC 9112 §3.2.2). */
async function plainChannel(engine: Engine, raw: RawHead): Promise<Channel> {
  const absolute = /^http:\/\/([^/?#]+)/i.exec(raw.target)
  if (!absolute) throw malformed('a request to the proxy needs an absolute http URL')
  const { host, port = 80 } = parseAuthority(absolute[1] ?? '')
  const route = await askRoute(engine, { host, port, from: 'request' })
  const reserved = route.kind === 'tunnel' && (route.reserved ?? false)
  return channelTo('http', { host, port }, route.kind, reserved)
}

function rawHead(request: Incoming, upgrade: RawHead['upgrade']): RawHead {
  const protocol =
    'stream' in request ? 'h2' : (PROTOCOLS[request.httpVersion] ?? ('other' as const))
  return {
    protocol,
    method: request.method ?? '',
    target: request.url ?? '',
    rawFields: request.rawHeaders,
    ended: 'stream' in request && request.stream.endAfterHeaders,
    upgrade,
  }
}

// HTTP/2 is spoken only behind TLS that was ended here; a session of unknown origin goes nowhere.
const UNSEATED: Seat = { refused: malformed('the connection is for no host') }

const PROTOCOLS: Readonly<Record<string, 'http/1.0' | 'http/1.1'>> = {
  '1.0': 'http/1.0',
  '1.1': 'http/1.1',
}

function parserRefusal({ code }: NodeJS.ErrnoException): Refused {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new Refused('request_too_large', 'the head of the request is over the limit')
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new Refused('request_too_large', 'the chunk extensions are over the limit')
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return malformed('the head of the request did not arrive in time')
  }
  return malformed('the request is not HTTP as RFC 9112 has it')
}
