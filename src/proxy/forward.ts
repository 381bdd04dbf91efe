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
  bytesDown: number
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
  const headers = fields
  dispatcher.dispatch(
    // biome-ignore lint/suspicious/noExplicitAny: methods are a closed list in the library's types only
    { path: target, method: method as any, headers, body: body as Readable | null },
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
    response.on('drain', this.#onDrain)
  }

  readonly #onDrain = () => this.#controller?.resume()
  // Rejects by itself: while the connection is still being opened there is nothing to abort yet.
  readonly #onAbort = () => {
    this.#controller?.abort(this.#signal.reason)
    this.#fail(this.#signal.reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Last look before the first byte leaves.
    if (this.#signal.aborted) controller.abort(this.#signal.reason)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200 || this.#signal.aborted) return
    this.#progress.status = status
    const fields = responseFields(strings(controller.rawHeaders))
    const response = this.#response
    response.sendDate = false
    if ('stream' in response) response.writeHead(status, fields)
    else response.writeHead(status, fields)
    // The head of a slow stream is not held back until its first byte; a quick answer is one write.
    if ('stream' in response) return
    setImmediate(() => {
      if (!response.writableEnded && !response.destroyed) response.flushHeaders()
    })
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#progress.bytesDown += piece.length
    if (this.#response.destroyed) return
    const response = this.#response as Writable
    if (!response.write(piece)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const trailers = trailerFields(strings(controller.rawTrailers))
    const response = this.#response
    if (Object.keys(trailers).length > 0) response.addTrailers(trailers as Record<string, string>)
    // Until the client has taken it all, its going away still counts.
    response.end(() => {
      this.#cease()
      this.#resolve()
    })
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#fail(error)
  }

  #fail(error: unknown): void {
    this.#cease()
    const known = error instanceof Refused || error === this.#signal.reason
    this.#reject(known ? error : new Refused('upstream_failed', 'the upstream broke off', error))
  }

  #cease(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#response.off('drain', this.#onDrain)
  }
}

/** The library hands out lists of names and values in turn, as bytes; of HTTP/2, a record. */
function strings(raw: unknown): string[] {
  if (Array.isArray(raw)) {
    return raw.map((part) => (Buffer.isBuffer(part) ? part.toString('latin1') : String(part)))
  }
  const pairs = Object.entries((raw ?? {}) as Record<string, string | string[]>)
  return pairs.flatMap(([name, value]) => [value].flat().flatMap((one) => [name, String(one)]))
}
