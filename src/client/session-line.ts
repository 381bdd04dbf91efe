import { connect, type Socket } from 'node:net'
import {
  type ClientFrame,
  type DaemonFrame,
  SESSION_PATH,
  SESSION_PROTOCOL,
} from '../api/session.ts'
import type { Caller } from './caller.ts'
import { errorFrom, garbled, silent } from './failure.ts'
import { FrameReader } from './frame-reader.ts'

export interface LineEvents {
  /** Connected, and the first frame is on its way. */
  sent(): void
  /** One frame of the daemon's. */
  frame(frame: DaemonFrame): void
  /** The line is gone, whoever ended it; told once, after the last frame. */
  closed(): void
}

/** An open session: frames as JSON lines, both ways. */
export interface SessionLine {
  send(frame: ClientFrame): void
  /** Ends it without a word. To the daemon that is the end of the task, unless we come back. */
  close(): void
}

/** The head of an answer, or a refusal: longer than this it is none of the daemon's. */
const LONGEST_ANSWER = 1024 * 1024

/**
 * Opens the session socket (api/session.ts). Spoken by hand on a plain socket: one request line, one
 * answer, then lines; an HTTP client would cost more than all of it. The first frame goes along with the
 * request, which saves a round trip. Rejects with the system's error
 * when nobody listens (see `isAway`), with the daemon's when it refuses, with `daemon_unreachable` when it is
 * silent for `timeoutMs`.
 */
export function openLine(
  caller: Caller,
  events: LineEvents,
  first: ClientFrame,
  timeoutMs: number,
): Promise<SessionLine> {
  return new Promise((resolve, reject) => {
    const socket = connect(caller.socket)
    let open = false
    const reader = new LineReader(() => {
      open = true
      settle()
    }, events.frame)
    const timer = setTimeout(() => settle(silent(timeoutMs)), timeoutMs)

    function settle(error?: Error): void {
      clearTimeout(timer)
      if (error === undefined) {
        resolve(lineOver(socket))
      } else {
        socket.destroy()
        reject(error)
      }
    }

    socket.setEncoding('utf8')
    socket.once('connect', () => {
      try {
        socket.write(greeting(caller) + encodeFrame(first)) // reads the key only now: the daemon may just have made it
      } catch (error) {
        settle(error instanceof Error ? error : garbled())
        return
      }
      events.sent()
    })
    socket.on('data', (chunk: string) => {
      if (!reader.take(chunk)) socket.destroy()
    })
    socket.on('error', (error) => {
      if (!open) settle(error)
    })
    socket.once('close', () => {
      if (open) events.closed()
      else settle(reader.ended() ?? Object.assign(new Error('cut off'), { code: 'ECONNRESET' }))
    })
  })
}

function greeting(caller: Caller): string {
  const head = [
    `POST ${SESSION_PATH} HTTP/1.1`,
    'Host: broker',
    'Connection: Upgrade',
    `Upgrade: ${SESSION_PROTOCOL}`,
    `Authorization: Bearer ${caller.bearer().reveal()}`,
    'Content-Length: 0',
  ]
  // A key with a line break would write our headers for us.
  if (head.some((line) => /[\r\n]/.test(line))) throw garbled()
  return `${head.join('\r\n')}\r\n\r\n`
}

export function encodeFrame(frame: ClientFrame): string {
  return `${JSON.stringify(frame)}\n`
}

/** What is said on an open socket. */
export function lineOver(socket: Pick<Socket, 'writable' | 'write' | 'destroy'>): SessionLine {
  return {
    send: (frame) => {
      if (socket.writable) socket.write(encodeFrame(frame))
    },
    close: () => socket.destroy(),
  }
}

/** Bytes into an HTTP answer and then into frames. */
class LineReader {
  readonly #opened: () => void
  readonly #frames: FrameReader
  #status: number | undefined
  #rest = ''

  constructor(opened: () => void, frame: (frame: DaemonFrame) => void) {
    this.#opened = opened
    this.#frames = new FrameReader(frame)
  }

  /** False when what comes is not the protocol: the line is then worth nothing. */
  take(chunk: string): boolean {
    if (this.#status === 101) return this.#frames.take(chunk)
    this.#rest += chunk
    if (this.#status === undefined) this.#readHead()
    if (this.#status !== 101) return this.#rest.length < LONGEST_ANSWER
    const rest = this.#rest
    this.#rest = ''
    return this.#frames.take(rest)
  }

  /** After the end of the socket: a refusal whose body is now complete. */
  ended(): Error | undefined {
    if (this.#status === undefined || this.#status === 101) return undefined
    try {
      return errorFrom(JSON.parse(this.#rest)) ?? garbled()
    } catch {
      return garbled()
    }
  }

  #readHead(): void {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) return
    this.#status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.#rest)?.[1] ?? 0)
    this.#rest = this.#rest.slice(end + 4)
    if (this.#status === 101) this.#opened()
  }
}
