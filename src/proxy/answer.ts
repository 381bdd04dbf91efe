import type { IncomingMessage, ServerResponse } from 'node:http'
import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import { GateRefused } from './ask.ts'
import { discard, endLingering, LINGER_MS } from './body.ts'
import type { Engine } from './engine.ts'
import { report } from './engine.ts'
import { addField, type FieldRecord } from './fields.ts'
import type { Answer, JudgedRequest, Refusal, Target } from './gate.ts'
import { engineRefusal, problem, Refused } from './refusal.ts'

export type Incoming = IncomingMessage | Http2ServerRequest
export type Outgoing = ServerResponse | Http2ServerResponse

export interface About {
  readonly request?: JudgedRequest | undefined
  readonly target?: Target | undefined
}

/** The answer for whatever was thrown; the gate hears of what the engine refused by itself. */
export function refusalFor(engine: Engine, error: unknown, about: About): Refusal {
  if (error instanceof GateRefused) return error.refusal
  // What nobody foresaw is a denial like any other; its text stays here.
  const refused =
    error instanceof Refused
      ? error
      : new Refused('operation_denied', 'the broker could not handle the request', error)
  const told = engineRefusal(refused, about)
  report(engine.gate, { refused: told })
  return problem(told, engine.lease)
}

/** Throws for a refusal that cannot be written: one half written could be read as something else. */
function refusalFields({ status, fields, body }: Refusal): FieldRecord {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError('not a status of a refusal')
  }
  const written: FieldRecord = Object.create(null)
  for (const [name, value] of fields) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    // Lower-case, so that ours below replace it rather than stand beside it.
    addField(written, name.toLowerCase(), value)
  }
  return {
    ...written,
    'broker-decision': 'deny',
    'cache-control': 'no-store',
    'content-length': String(Buffer.byteLength(body)),
  }
}

/** Answers with a refusal. Bytes of the request still to come are thrown away, up to a point. */
export function sendRefusal(
  engine: Engine,
  request: Incoming,
  response: Outgoing,
  refusal: Refusal,
  close: boolean,
): void {
  if (response.headersSent || response.destroyed) response.destroy()
  else write(engine, request, response, refusalFields(refusal), refusal, close)
}

/** The same for what the gate answers by itself. */
export function sendAnswer(
  engine: Engine,
  request: Incoming,
  response: Outgoing,
  answer: Answer['answer'],
  close: boolean,
): void {
  const fields: FieldRecord = Object.create(null)
  for (const [name, value] of answer.fields) addField(fields, name, value)
  // RFC 9110 §8.6: not with 204; 304 would have to name the length of what it does not send.
  if (answer.status !== 204 && answer.status !== 304) {
    fields['content-length'] = String(Buffer.byteLength(answer.body))
  }
  write(engine, request, response, fields, answer, close)
}

function write(
  { limits }: Engine,
  request: Incoming,
  response: Outgoing,
  fields: FieldRecord,
  { status, body }: { readonly status: number; readonly body: string },
  close: boolean,
): void {
  response.sendDate = false
  const sent = request.method === 'HEAD' ? '' : body
  if ('stream' in response) {
    const { stream } = response
    response.writeHead(status, fields)
    // The client need not send the rest of its body (RFC 9113 §8.1).
    response.end(sent, () => stream.close(constants.NGHTTP2_NO_ERROR))
    return
  }
  if (close) fields['connection'] = 'close'
  ;(response as ServerResponse).writeHead(status, fields)
  response.end(sent)
  const { socket } = request as IncomingMessage
  if (!request.readableEnded) {
    discard(request, limits.drainBytes, () => endLingering(request, socket))
  }
}

/** The same on a bare socket, where no request was taken over yet; the connection ends with it. */
export function writeRefusal(socket: Duplex, refusal: Refusal): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const lines = Object.entries({ ...refusalFields(refusal), connection: 'close' })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const reason = STATUS_CODES[refusal.status] ?? ''
  socket.end(`HTTP/1.1 ${refusal.status} ${reason}\r\n${head}\r\n${refusal.body}`)
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer)).resume()
}
