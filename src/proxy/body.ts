import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type Readable, Transform, type TransformCallback } from 'node:stream'
import { malformed, Refused } from './refusal.ts'

/**
 * A body that came along with its head, of the length that the head said: no more than the stream's
 * buffer holds. Over HTTP/2 the end is a word of its own.
 */
export function arrived(source: Readable, length: number | 'chunked'): Buffer | undefined {
  if (!(source instanceof IncomingMessage) || length === 0) return undefined
  if (source.readableLength !== length) return undefined
  const bytes: Buffer | null = source.read()
  source.resume() // to its end, which the parser has still to tell
  return bytes ?? undefined
}

/**
 * The whole body, or `request_too_large` past `limit`, or `request_malformed` when it is too slow;
 * throws the signal's reason when it fires. `length`: how many bytes the head said will come.
 */
export async function readWhole(
  source: Readable,
  length: number | 'chunked',
  limit: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted()
  if (length === 0 && source instanceof IncomingMessage) {
    source.resume() // to its end, which the parser has still to tell
    return Buffer.alloc(0)
  }
  return arriving(source, limit, timeoutMs, signal)
}

function arriving(
  source: Readable,
  limit: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let size = 0
    const settle = (act: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      source.off('data', take).off('end', finish).off('close', cut).off('error', cut)
      act()
    }
    const take = (piece: Buffer) => {
      size += piece.length
      if (size <= limit) pieces.push(piece)
      else {
        source.pause()
        settle(() => reject(new Refused('request_too_large', 'the body is over the limit')))
      }
    }
    const finish = () => settle(() => resolve(Buffer.concat(pieces, size)))
    const cut = () => settle(() => reject(malformed('the body ended early')))
    const onAbort = () => settle(() => reject(signal.reason))
    const timer = setTimeout(
      () => settle(() => reject(malformed('the body did not arrive in time'))),
      timeoutMs,
    )
    signal.addEventListener('abort', onAbort, { once: true })
    source.on('data', take).on('end', finish).on('close', cut).on('error', cut)
  })
}

/**
 * A body on its way up: counted, and given up when the client stops sending while the upstream is
 * ready for more. Holds no more than one stream buffer.
 */
export class Meter extends Transform {
  bytes = 0
  readonly #idle: NodeJS.Timeout

  constructor(source: Readable, idleMs: number) {
    super()
    this.on('error', () => {}) // whoever reads it hears of it; alone it must not end the process
    this.#idle = setTimeout(() => this.#check(), idleMs)
    const cut = () => {
      if (!source.readableEnded) this.destroy(malformed('the body ended early'))
    }
    source.once('close', cut).once('error', cut)
    this.once('close', () => {
      clearTimeout(this.#idle)
      source.off('close', cut).unpipe(this)
    })
    source.pipe(this)
  }

  override _transform(piece: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += piece.length
    this.#idle.refresh()
    done(null, piece)
  }

  override _flush(done: TransformCallback): void {
    clearTimeout(this.#idle)
    done()
  }

  #check(): void {
    // Full means that the upstream is the slow one.
    if (this.readableLength > 0 || this.writableLength > 0) this.#idle.refresh()
    else this.destroy(malformed('the body did not arrive in time'))
  }
}

/** Throws away what is left of a body nobody wants; past `limit` the rest is not waited for. */
export function discard(source: Readable, limit: number, cut: () => void): void {
  let size = 0
  let over = false
  source.on('error', () => {})
  source.on('data', (piece: Buffer) => {
    size += piece.length
    if (size <= limit || over) return
    over = true
    cut()
  })
  source.resume()
}

/** How long a refused client has to read its answer before it is cut: it reads none after a reset. */
export const LINGER_MS = 1000

/**
 * Ends a connection whose client still sends: nothing more is read, which makes it stop and look for its
 * answer, and then it is cut. A close at once would be a reset, and the answer lost (RFC 9112 §9.6).
 */
export function endLingering(source: Readable, socket: Socket): void {
  source.pause()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}
