/** One request as it goes over the wire; fields in any order and of any kind, also forbidden ones. */
export interface RawStream {
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Undefined: the head ends the stream. */
  readonly body: string | undefined
  readonly trailers: readonly (readonly [name: string, value: string])[] | undefined
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const [DATA, HEADERS, RST_STREAM, SETTINGS] = [0, 1, 3, 4]
const [END_STREAM, END_HEADERS] = [1, 4]

/** A connection's first bytes and these streams, written by hand: a client library would refuse to. */
export function frames(streams: readonly RawStream[]): Buffer {
  const parts = [PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))]
  for (const [at, { fields, body, trailers }] of streams.entries()) {
    const id = at * 2 + 1
    const last = body === undefined && !trailers ? END_STREAM : 0
    parts.push(frame(HEADERS, END_HEADERS | last, id, block(fields)))
    if (body !== undefined) {
      parts.push(frame(DATA, trailers ? 0 : END_STREAM, id, Buffer.from(body, 'latin1')))
    }
    if (trailers) parts.push(frame(HEADERS, END_HEADERS | END_STREAM, id, block(trailers)))
  }
  return Buffer.concat(parts)
}

/** How many streams the other side has ended, by an answer or a reset. */
export function endedStreams(heard: Buffer): number {
  const ended = new Set<number>()
  for (let at = 0; at + 9 <= heard.length; at += 9 + heard.readUIntBE(at, 3)) {
    const type = heard.readUInt8(at + 3)
    const last = (type === DATA || type === HEADERS) && (heard.readUInt8(at + 4) & END_STREAM) > 0
    if (last || type === RST_STREAM) ended.add(heard.readUInt32BE(at + 5))
  }
  return ended.size
}

/** RFC 9113 §4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Literal fields without indexing, names and values as they are (RFC 7541 §6.2.2). */
function block(fields: RawStream['fields']): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])),
  )
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length > 126) throw new RangeError('longer than one byte can say')
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}
