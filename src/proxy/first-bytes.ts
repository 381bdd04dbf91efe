import { METHODS } from 'node:http'
import type { Socket } from 'node:net'
import { MAX_HELLO, readClientHello } from './client-hello.ts'

/** What a client speaks after CONNECT. Nothing of it is lost: the bytes are put back. */
export type First =
  | { readonly kind: 'tls'; readonly serverName: string | undefined }
  | { readonly kind: 'http' }
  /** Neither; also TLS that we cannot read as the server would. */
  | { readonly kind: 'other' }
  /** Too slow, or gone. */
  | { readonly kind: 'nothing' }

const WORDS = new Set(METHODS)
const LONGEST = Math.max(...METHODS.map((word) => word.length))

/**
 * Looks at the first bytes. Takes the socket paused or fresh and gives it back paused. Without
 * `timeoutMs` it waits as long as the connection lasts.
 */
export function firstBytes(
  socket: Socket,
  head: Buffer,
  timeoutMs: number | undefined,
): Promise<First> {
  return new Promise((resolve) => {
    let bytes = head
    const settle = (first: First) => {
      clearTimeout(timer)
      socket.off('data', take).off('end', gone).off('close', gone)
      socket.pause()
      if (bytes.length > 0 && !socket.destroyed) socket.unshift(bytes)
      resolve(first)
    }
    const take = (piece: Buffer) => {
      bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece])
      look()
    }
    const gone = () => settle({ kind: 'nothing' })
    const look = () => {
      const first = classify(bytes)
      if (first) settle(first)
    }
    const timer = timeoutMs === undefined ? undefined : setTimeout(gone, timeoutMs)
    if (bytes.length > 0) {
      const first = classify(bytes)
      if (first) return settle(first)
    }
    socket.on('data', take).once('end', gone).once('close', gone)
    socket.resume()
    return undefined
  })
}

/** Undefined while more bytes are needed. */
export function classify(bytes: Buffer): First | undefined {
  const first = bytes[0]
  if (first === undefined) return undefined
  if (first === 0x16) {
    const hello = readClientHello(bytes)
    if (hello.kind === 'hello') return { kind: 'tls', serverName: hello.serverName }
    if (hello.kind === 'broken' || bytes.length > MAX_HELLO) return { kind: 'other' }
    return undefined
  }
  const word = bytes.subarray(0, LONGEST + 1).toString('latin1')
  const space = word.indexOf(' ')
  if (space >= 0) return { kind: WORDS.has(word.slice(0, space)) ? 'http' : 'other' }
  const possible = METHODS.some((method) => method.startsWith(word))
  return possible ? undefined : { kind: 'other' }
}
