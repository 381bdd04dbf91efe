import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'

/** The method under which messages of a websocket are on record. */
const MESSAGE = 'MESSAGE'

/** One request as it arrived. It is on record from its first line on; the body grows with it. */
export interface RecordedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** In their order and spelling, repeated ones repeatedly. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The body, of long ones the first mebibyte; what is not UTF-8 is shown byte by byte (Latin-1). */
  readonly body: string
  /** All bytes of the body. */
  readonly bytes: number
  /** True when the body came to its end. */
  readonly complete: boolean
  /** Whose credential it carried; null where it opens nothing here. */
  readonly authorised: string | null
}

const KEPT_BYTES = 1024 * 1024

/** Takes a request down while its body is read by somebody else. */
export function takeDown(request: IncomingMessage, authorised: string | null): RecordedRequest {
  const pieces: Buffer[] = []
  let bytes = 0
  let kept = 0
  request.on('data', (piece: Buffer) => {
    bytes += piece.length
    if (kept >= KEPT_BYTES) return
    pieces.push(piece.subarray(0, KEPT_BYTES - kept))
    kept += piece.length
  })
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: pairs(request.rawHeaders),
    get body() {
      const all = Buffer.concat(pieces)
      return all.toString(isUtf8(all) ? 'utf8' : 'latin1')
    },
    get bytes() {
      return bytes
    },
    get complete() {
      return request.complete
    },
    authorised,
  }
}

/** A message that came over a websocket, as if it had been a request with the handshake's headers. */
export function messageOf(
  { path, headers }: RecordedRequest,
  body: string,
  authorised: string | null,
): RecordedRequest {
  const bytes = Buffer.byteLength(body)
  return { method: MESSAGE, path, headers, body, bytes, complete: true, authorised }
}

function pairs(raw: readonly string[]): readonly (readonly [string, string])[] {
  const found: [string, string][] = []
  for (let at = 0; at < raw.length; at += 2) found.push([raw[at] ?? '', raw[at + 1] ?? ''])
  return found
}
