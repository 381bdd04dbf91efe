import { constants } from 'node:http2'
import type { Socket } from 'node:net'
import {
  type About,
  type Incoming,
  type Outgoing,
  refusalFor,
  sendAnswer,
  sendRefusal,
} from './answer.ts'
import { discard, endLingering, Meter } from './body.ts'
import { type Decision, decide, outgoingFields } from './decide.ts'
import { type Engine, report } from './engine.ts'
import { forward, type Progress } from './forward.ts'
import type { Outcome } from './gate.ts'
import { nameOf, Refused } from './refusal.ts'
import { type Channel, type RawHead, readHead } from './request-head.ts'
import type { Origin } from './upstreams.ts'

/**
 * Also a client that only ended its side: closed and half-closed look the same from here, and what
 * nobody waits for any more is not to be carried out. Tunnels pass a half-close on.
 */
class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

export interface Arrival {
  readonly raw: RawHead
  readonly request: Incoming
  readonly response: Outgoing
  /** The client waits for `100 Continue` before it sends the body. */
  readonly waits: boolean
  /** Ends the exchange with its reason: the client gone, the lease ended, the body broken. */
  readonly abort: AbortController
  /** What the connection is for; throws where the request has no place to go. */
  channel(): Channel | Promise<Channel>
  /** Takes an allowed request over; by default it is forwarded. */
  readonly carry?: Carry
}

/** Resolves with how it ended; rejects as long as the client has had no answer. */
export type Carry = (
  engine: Engine,
  decision: Decision,
  origin: Origin,
  progress: Progress,
  signal: AbortSignal,
) => Promise<Outcome['end']>

/**
 * One request from its head to its end. The order is the protection: the head is made canonical,
 * then judged, with its body where that has come along; then its body is read or tied to it, and only
 * then is a connection upstream touched.
 */
export async function exchange(engine: Engine, arrival: Arrival): Promise<void> {
  const { request, response, abort } = arrival
  const progress: Progress = { status: undefined, bytesUp: 0, bytesDown: 0, taken: false }
  // An answer that is out closes as well, and nobody has gone: not worth an error with its stack. Over
  // HTTP/2 a stream that is cut tells its end in the same words.
  const onClose = () => {
    if (!progress.taken || 'stream' in response) abort.abort(new ClientGone('the client has gone'))
  }
  const place = engine.underWay.enter(abort)
  response.on('close', onClose)
  request.on('error', ignore)
  response.on('error', ignore)
  let about: About = {}
  try {
    engine.ended.throwIfAborted()
    // Waited for even where it is known: what is refused at once is over at once, and a request that came
    // right behind it would not be seen to have come too early.
    const channel = await arrival.channel()
    const judged = {
      ...readHead(arrival.raw, channel, engine.limits.headFields),
      id: engine.nextId(),
    }
    about = { request: judged }
    const { waits } = arrival
    const body = { stream: request, waits, proceed: () => proceed(arrival) }
    const decision = await decide(engine, judged, body, abort.signal)
    about = { request: decision.request }
    if ('answer' in decision) {
      sendAnswer(engine, request, response, decision.answer, mustClose(arrival, about))
    } else await carryOut(engine, arrival, channel, decision, progress)
  } catch (error) {
    if (error instanceof ClientGone) response.destroy()
    else if (response.headersSent) cut(request, response)
    else {
      const refusal = refusalFor(engine, error, about)
      sendRefusal(engine, request, response, refusal, mustClose(arrival, about))
    }
  } finally {
    engine.underWay.leave(place)
    response.off('close', onClose)
  }
}

async function carryOut(
  engine: Engine,
  arrival: Arrival,
  channel: Channel,
  decision: Decision,
  progress: Progress,
): Promise<void> {
  const started = performance.now()
  const { signal } = arrival.abort
  let end: Outcome['end'] = 'complete'
  try {
    const origin = engine.upstreams.origin(decision.allow.upstream ?? sameOrigin(channel))
    end = await (arrival.carry ?? pass(arrival))(engine, decision, origin, progress, signal)
  } catch (error) {
    end = endOf(error)
    throw error
  } finally {
    const durationMs = performance.now() - started
    const request = nameOf(decision.request)
    const { status, bytesUp, bytesDown } = progress
    const done = { status, bytesUp, bytesDown, durationMs, end }
    report(engine.gate, { outcome: { kind: 'request', request, ...done } })
  }
}

function endOf(error: unknown): Outcome['end'] {
  if (error instanceof ClientGone) return 'client_gone'
  if (!(error instanceof Refused)) return 'upstream_failed'
  if (error.code === 'lease_ended') return 'lease_ended'
  // The client's own body broke off or came too slowly.
  return error.code === 'request_malformed' ? 'client_gone' : 'upstream_failed'
}

function pass(arrival: Arrival): Carry {
  return async (engine, decision, origin, progress, signal) => {
    const { request, allow } = decision
    const fields = outgoingFields(request, allow)
    const whole = allow.body ?? request.body
    const streamed = whole === undefined && request.length !== 0
    const length = whole?.length ?? request.length
    if (typeof length === 'number' && (length > 0 || hasField(arrival.raw, 'content-length'))) {
      fields.push('content-length', String(length))
    }
    // Ours to say, for this hop: trailers are passed on. gRPC servers refuse who does not say it.
    if (wantsTrailers(arrival.raw)) fields.push('te', 'trailers')
    if (streamed) proceed(arrival)
    const meter = streamed ? new Meter(arrival.request, engine.limits.bodyIdleMs) : undefined
    const { method, target } = request
    const sending = { method, target, fields, body: meter ?? whole ?? null }
    try {
      const dispatcher = engine.upstreams.dispatcher(origin)
      await forward(dispatcher, sending, arrival.response, progress, signal)
      return 'complete'
    } finally {
      progress.bytesUp = meter?.bytes ?? whole?.length ?? 0
      meter?.destroy()
      if (meter && !arrival.request.readableEnded) abandon(engine, arrival)
    }
  }
}

/** What broke shows in the close that follows. */
const ignore = () => {}

const sameOrigin = ({ scheme, authority, reserved }: Channel) => ({
  origin: `${scheme}://${authority}`,
  reserved,
})

const hasField = ({ rawFields }: RawHead, wanted: string) =>
  rawFields.some((name, at) => at % 2 === 0 && name.toLowerCase() === wanted)

/** RFC 9113 §8.2.2: in HTTP/2 the field has this value or is not there. */
const wantsTrailers = ({ protocol, rawFields }: RawHead) =>
  protocol === 'h2' &&
  rawFields.some((name, at) => at % 2 === 0 && name === 'te' && rawFields[at + 1] === 'trailers')

const proceeded = new WeakSet<Arrival>()

function proceed(arrival: Arrival): void {
  if (!arrival.waits || proceeded.has(arrival)) return
  proceeded.add(arrival)
  arrival.response.writeContinue()
}

/**
 * After a refusal the next bytes on an HTTP/1 connection have to be a new request. Where the head
 * leaves the end of its body in doubt the connection ends; where the client was never told to go on
 * and may send the body or not, node ends it. Otherwise the body is thrown away: a connection closed
 * in the midst of it would take the answer along.
 */
function mustClose({ raw }: Arrival, { request }: About): boolean {
  if (raw.protocol === 'h2' || request) return false
  return hasField(raw, 'transfer-encoding') || hasField(raw, 'content-length')
}

/** The upstream answered before it had the body: what the client still sends goes nowhere. */
function abandon({ limits }: Engine, { request, response }: Arrival): void {
  discard(request, limits.drainBytes, () => {
    if (!('stream' in request)) endLingering(request, request.socket)
  })
  if ('stream' in request && response.writableFinished) {
    request.stream.close(constants.NGHTTP2_NO_ERROR)
  }
}

/** An answer that broke off must not look whole: the client sees a reset, not an end. */
function cut(request: Incoming, response: Outgoing): void {
  if ('stream' in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  else (request.socket as Socket).destroy()
}
