import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { formatAuthority } from './authority.ts'
import { outgoingFields } from './decide.ts'
import type { Engine } from './engine.ts'
import { type FieldRecord, fieldLines, fieldRecord, responseFields } from './fields.ts'
import type { Allow, JudgedRequest } from './gate.ts'
import { malformed, Refused } from './refusal.ts'
import type { Origin } from './upstreams.ts'

/** A judged WebSocket handshake, as it goes upstream. */
export interface Handshake {
  readonly target: string
  readonly protocols: readonly string[]
  /** Without those that each side of the proxy writes for itself. */
  readonly fields: FieldRecord
}

/** The client's connection, until it speaks WebSocket. */
export interface ClientEnd {
  readonly response: ServerResponse
  readonly client: Duplex
  readonly head: Buffer
}

/** The two halves of the proxy have a key, a version and extensions of their own: none of the last. */
const OWN = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions'] as const

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** RFC 6455 §4.2.1. Throws before anything is opened upstream. */
export function readHandshake(request: JudgedRequest, allow: Allow): Handshake {
  const fields = fieldRecord(outgoingFields(request, allow))
  const { 'sec-websocket-key': key, 'sec-websocket-version': version } = fields
  if (typeof key !== 'string' || !/^[+/0-9A-Za-z]{22}==$/.test(key) || version !== '13') {
    throw malformed('the websocket handshake is not as RFC 6455 has it')
  }
  const protocols = readProtocols(fields['sec-websocket-protocol'])
  for (const name of [...OWN, 'sec-websocket-protocol']) delete fields[name]
  return { target: request.target, protocols, fields }
}

function readProtocols(value: string | string[] | undefined): readonly string[] {
  if (value === undefined) return []
  const names = [value].flat().flatMap((line) => line.split(/[ \t]*,[ \t]*/))
  if (new Set(names).size < names.length || !names.every((name) => TOKEN.test(name))) {
    throw malformed('the websocket protocols are not a list of different names')
  }
  return names
}

export interface Opened {
  readonly message: IncomingMessage
  /** Undefined when the upstream would not have a WebSocket: `message` says why. Comes paused. */
  readonly socket?: WebSocket
}

/**
 * Asks the upstream on a connection that is open already, so that addresses and certificates were
 * checked. Throws `upstream_failed` for a `101` with an extension, or without the protocol that was
 * asked for.
 */
export function openUpstream(
  { limits }: Engine,
  { target, protocols, fields }: Handshake,
  { scheme, host, port }: Origin,
  connection: Socket,
  signal: AbortSignal,
): Promise<Opened> {
  const authority = formatAuthority(scheme, host, port)
  const url = new URL(`ws://${authority}${target}`)
  // The library sends what the parser made of it, which has to be what was judged.
  if (url.pathname + url.search !== target) throw malformed('the target is not in its plain form')
  const options = {
    createConnection: () => connection,
    headers: { ...fields, host: authority } as Record<string, string>,
    perMessageDeflate: false,
    followRedirects: false,
    autoPong: false,
    maxPayload: limits.serverMessageBytes,
    handshakeTimeout: limits.responseHeadMs,
    closeTimeout: limits.closeMs,
  }
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [...protocols], options)
    let message: IncomingMessage | undefined
    const onAbort = () => socket.terminate()
    const settled = () => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('upgrade', (answer) => {
      message = answer
    })
    socket.once('unexpected-response', (_request, answer) => {
      settled()
      resolve({ message: answer })
    })
    socket.once('open', () => {
      settled()
      // Whoever takes the messages is not there yet.
      socket.pause()
      if (message) resolve({ message, socket })
    })
    // For good: without a listener an error would end the process.
    socket.on('error', (error) => {
      settled()
      const broke = new Refused('upstream_failed', `the host "${host}" opened no websocket`, error)
      reject(signal.aborted ? signal.reason : broke)
    })
  })
}

/** Answers the client with `101`. What it sent before that is not lost. */
export function acceptClient(
  { limits }: Engine,
  { response, client, head }: ClientEnd,
  answer: IncomingMessage,
  protocol: string,
): WebSocket {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: limits.messageBytes,
    closeTimeout: limits.closeMs,
    handleProtocols: () => protocol || false,
  } as const
  const server = new WebSocketServer(options)
  server.on('headers', (lines: string[]) => lines.push(...passedOn(answer)))
  response.detachSocket(client as Socket)
  let accepted: WebSocket | undefined
  server.handleUpgrade(response.req, client, head, (socket) => {
    accepted = socket
  })
  if (!accepted) throw malformed('the client ended its side before the websocket was open')
  return accepted
}

function passedOn({ rawHeaders }: IncomingMessage): readonly string[] {
  const lines = fieldLines(responseFields(fieldRecord(rawHeaders)))
  return lines.filter((line) => !line.startsWith('sec-websocket-'))
}
