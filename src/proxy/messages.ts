import type { RawData, WebSocket } from 'ws'
import { refusalFor } from './answer.ts'
import { askMessage } from './ask.ts'
import type { Engine } from './engine.ts'
import type { Allow, JudgedRequest, Outcome } from './gate.ts'
import { Refused } from './refusal.ts'

type Messages = NonNullable<Allow['messages']>

/** What waits to be written before the other side is read no further. Bytes. */
const HIGH = 1024 * 1024

const NOTHING = Buffer.alloc(0)

/** Close codes of RFC 6455 §7.4.1. */
const CODES = { normal: 1000, binary: 1003, denied: 1008, none: 1005, broken: 1006 } as const

/**
 * Carries a WebSocket whose messages are judged, until both sides are closed. The signal cuts both at
 * once.
 */
export function carryMessages(
  engine: Engine,
  request: JudgedRequest,
  messages: Messages,
  client: WebSocket,
  upstream: WebSocket,
  signal: AbortSignal,
): Promise<Outcome['end']> {
  const gone = new AbortController()
  const judge = async (text: string) => {
    try {
      return await askMessage(engine, messages, text, gone.signal)
    } catch (error) {
      // Nobody is there any more to be told.
      if (gone.signal.aborted) return null
      refusalFor(engine, error, { request })
      const reason = error instanceof Refused ? error.message : 'the broker could not decide'
      return { kind: 'close', code: CODES.denied, reason } as const
    }
  }
  return new Carrying(client, upstream, judge, gone).run(signal)
}

type Judge = (text: string) => Promise<Awaited<ReturnType<Messages>> | null>

class Carrying {
  readonly #client: WebSocket
  readonly #upstream: WebSocket
  readonly #judge: Judge
  readonly #gone: AbortController
  /** Of one or two pieces as the socket delivered them: the client is not read meanwhile. */
  readonly #waiting: string[] = []
  #working: Promise<void> | null = null
  #end: Outcome['end'] | null = null
  #pingOfClient: Buffer = NOTHING
  #pingOfUpstream: Buffer = NOTHING

  constructor(client: WebSocket, upstream: WebSocket, judge: Judge, gone: AbortController) {
    this.#client = client
    this.#upstream = upstream
    this.#judge = judge
    this.#gone = gone
  }

  async run(signal: AbortSignal): Promise<Outcome['end']> {
    const cut = () => this.#cut('lease_ended')
    signal.addEventListener('abort', cut, { once: true })
    const closed = Promise.all([over(this.#client), over(this.#upstream)])
    this.#listen()
    if (signal.aborted) cut()
    this.#upstream.resume()
    await closed
    signal.removeEventListener('abort', cut)
    return this.#end ?? 'complete'
  }

  #listen(): void {
    const client = this.#client
    const upstream = this.#upstream
    client.on('message', (data, isBinary) => this.#take(data, isBinary))
    client.on('close', (code) => this.#clientClosed(code))
    // A broken frame: the library tells the client by a close code of its own.
    client.on('error', () => this.#cutUpstream('client_gone'))
    upstream.on('message', (data, isBinary) => this.#giveBack(data, isBinary))
    upstream.on('close', (code, reason) => this.#upstreamClosed(code, reason))
    // What a client puts into a ping is its own and stays here: the server gets an empty one.
    client.on('ping', (data) => {
      this.#pingOfClient = Buffer.from(data)
      upstream.ping(NOTHING, undefined, this.#pace)
      this.#pace()
    })
    upstream.on('pong', () => {
      client.pong(this.#pingOfClient, undefined, this.#pace)
      this.#pace()
    })
    upstream.on('ping', (data) => {
      this.#pingOfUpstream = Buffer.from(data)
      client.ping(data, undefined, this.#pace)
      this.#pace()
    })
    client.on('pong', () => {
      upstream.pong(this.#pingOfUpstream, undefined, this.#pace)
      this.#pace()
    })
  }

  /** Neither side is read faster than the other one takes it; the client not while a verdict is due. */
  readonly #pace = () => {
    const over = this.#end !== null
    const forward = this.#working === null && this.#upstream.bufferedAmount <= HIGH
    const back = this.#client.bufferedAmount <= HIGH
    // The other half of a closing handshake has to be read.
    if (over || forward) this.#client.resume()
    else this.#client.pause()
    if (over || back) this.#upstream.resume()
    else this.#upstream.pause()
  }

  #take(data: RawData, isBinary: boolean): void {
    if (this.#end !== null) return
    if (isBinary) {
      this.#stop(CODES.binary, 'only text messages are carried')
      return
    }
    this.#waiting.push(data.toString())
    this.#working ??= this.#work()
    this.#pace()
  }

  async #work(): Promise<void> {
    while (this.#end === null) {
      const text = this.#waiting.shift()
      if (text === undefined) break
      const verdict = await this.#judge(text)
      // Either side may have gone meanwhile; the answer is not used then.
      if (verdict === null || this.#end !== null) break
      if (verdict.kind === 'close') this.#stop(verdict.code, verdict.reason)
      else if (verdict.kind === 'answer') await written(this.#client, verdict.text)
      else await written(this.#upstream, verdict.text)
    }
    this.#waiting.length = 0
    this.#working = null
    this.#pace()
  }

  #giveBack(data: RawData, isBinary: boolean): void {
    this.#client.send(data, { binary: isBinary }, this.#pace)
    this.#pace()
  }

  async #clientClosed(code: number): Promise<void> {
    if (code === CODES.broken) {
      this.#cutUpstream('client_gone')
      return
    }
    // What it sent before its goodbye is still judged, and goes before it.
    await this.#working
    this.#end ??= 'complete'
    this.#gone.abort()
    this.#bid(this.#upstream, code, '')
  }

  #upstreamClosed(code: number, reason: Buffer): void {
    this.#end ??= code === CODES.broken ? 'upstream_failed' : 'complete'
    this.#gone.abort()
    if (code === CODES.broken) this.#client.terminate()
    else this.#bid(this.#client, code, reason.toString())
  }

  /** Both are told that it is over; nothing that still comes is taken. */
  #stop(code: number, reason: string): void {
    this.#end ??= 'complete'
    this.#bid(this.#client, code, reason)
    this.#bid(this.#upstream, CODES.normal, '')
  }

  /** The client's code passes, what it wrote beside it does not: nobody judged it. */
  #bid(socket: WebSocket, code: number, reason: string): void {
    if (code === CODES.none) socket.close()
    else socket.close(code, clipped(reason))
    this.#pace()
  }

  #cutUpstream(end: Outcome['end']): void {
    this.#end ??= end
    this.#gone.abort()
    this.#upstream.terminate()
  }

  #cut(end: Outcome['end']): void {
    this.#cutUpstream(end)
    this.#client.terminate()
  }
}

function over(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** Resolves when the socket has taken it, or never will. */
function written(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => socket.send(text, () => resolve()))
}

/** RFC 6455 §5.5: a control frame has 125 bytes, two of them are the code. */
function clipped(reason: string): string {
  let text = reason.slice(0, 123)
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1)
  return text
}
