import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Outgoing } from './answer.ts'
import { responseFields, trailerFields } from './fields.ts'
import { Refused } from './refusal.ts'

export interface Sending {
  readonly method: string
  readonly target: string
  readonly fields: string[]
  readonly body: Readable | Uint8Array | null
}

/** Filled in as the answer comes, so that what is known stands there however it ends. */
export interface Progress {
  status: number | undefined
  bytesUp: number
  bytesDown: number
  /** The client has all of the answer, as far as the machine can tell. */
  taken: boolean
}

/**
 * Sends the request and streams the answer back, at the pace of the slower side, with its trailers.
 * Resolves when the client has it whole; rejects when the upstream fails or `signal` fires.
 *
 * Trailers of the request do not go: they come after the judgement, and a streamed body is already
 * on its way then. RFC 9110 §6.5 lets a recipient drop them.
 */
export function forward(
  dispatcher: Dispatcher,
  { method, target, fields, body }: Sending,
  response: Outgoing,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const relay = new Relay(response, progress, signal, resolve, reject)
  dispatcher.dispatch(
    // biome-ignore lint/suspicious/noExplicitAny: methods are a closed list in the library's types only
    { path: target, method: method as any, headers: fields, body: body as Readable | null },
    relay,
  )
  return promise
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: Outgoing
  readonly #progress: Progress
  readonly #signal: AbortSignal
  readonly #resolve: () => void
  readonly #reject: (reason: unknown) => void
  #controller: Dispatcher.DispatchController | undefined
  /** What the upstream said the body has; not a number where it did not say. */
  #length = Number.NaN
  #last: Buffer | undefined
  #over = false

  constructor(
    response: Outgoing,
    progress: Progress,
    signal: AbortSignal,
    resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    this.#response = response
    this.#progress = progress
    this.#signal = signal
    this.#resolve = resolve
    this.#reject = reject
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  // Rejects by itself: while the connection is still being opened there is nothing to abort yet.
  readonly #onAbort = () => {
    if (this.#over) return
    this.#controller?.abort(this.#signal.reason)
    this.#fail(this.#signal.reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Last look before the first byte leaves.
    if (this.#signal.aborted) controller.abort(this.#signal.reason)
  }

  onResponseStart(
    { rawHeaders }: Dispatcher.DispatchController,
    status: number,
    received: IncomingHttpHeaders,
  ): void {
    if (status < 200 || this.#signal.aborted) return
    this.#progress.status = status
    // Of HTTP/1.1, whose list it is: there the answer ends with its last byte, in HTTP/2 it need not.
    if (Array.isArray(rawHeaders)) this.#length = Number(received['content-length'])
    const response = this.#response
    response.sendDate = false
    if ('stream' in response) {
      response.writeHead(status, responseFields(received) as string[])
      return
    }
    response.writeHead(status, responseFields(received))
    // The head of a slow stream is not held back until its first byte; a quick answer is one write.
    setImmediate(flushHead, response)
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#progress.bytesDown += piece.length
    if (this.#response.destroyed) return
    if (this.#progress.bytesDown === this.#length) {
      // The end comes right behind: one write instead of two.
      this.#last = piece
      return
    }
    const response = this.#response as Writable
    if (response.write(piece)) return
    controller.pause()
    response.once('drain', () => controller.resume())
  }

  onResponseEnd(_controller: unknown, received: IncomingHttpHeaders): void {
    const trailers = trailerFields(received) as Record<string, string>
    if (Object.keys(trailers).length > 0) this.#response.addTrailers(trailers)
    const response = this.#response as Writable
    // Until the client has taken it all, its going away still counts.
    const taken = () => {
      this.#over = true
      this.#progress.taken = true
      this.#resolve()
    }
    if (this.#last) response.end(this.#last, taken)
    else response.end(taken)
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#fail(error)
  }

  #fail(error: unknown): void {
    this.#over = true
    const known = error instanceof Refused || error === this.#signal.reason
    this.#reject(known ? error : new Refused('upstream_failed', 'the upstream broke off', error))
  }
}

function flushHead(response: ServerResponse): void {
  if (!response.writableEnded && !response.destroyed) response.flushHeaders()
}
