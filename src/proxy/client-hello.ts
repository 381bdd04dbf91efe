import { parseHost } from './authority.ts'

/**
 * `more`: not enough bytes yet. `broken`: TLS by its first byte, but not a ClientHello that we and
 * the server are sure to read alike.
 */
export type Hello =
  | { readonly kind: 'more' }
  | { readonly kind: 'broken' }
  | { readonly kind: 'hello'; readonly serverName: string | undefined }

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const MAX_RECORD = 16_384
export const MAX_HELLO = 64 * 1024

const BROKEN: Hello = { kind: 'broken' }
const MORE: Hello = { kind: 'more' }

/**
 * Reads the server name out of the first bytes of a TLS connection (RFC 8446 §4.1.2, RFC 6066 §3).
 * A ClientHello may be spread over several records: it is put together first, as the server does.
 */
export function readClientHello(bytes: Buffer): Hello {
  const handshake = joinRecords(bytes)
  if (!Buffer.isBuffer(handshake)) return handshake
  const cursor = new Cursor(handshake.subarray(4))
  try {
    cursor.skip(2 + 32)
    cursor.vector(1)
    cursor.vector(2)
    cursor.vector(1)
    if (cursor.empty) return { kind: 'hello', serverName: undefined }
    const extensions = new Cursor(cursor.vector(2))
    if (!cursor.empty) return BROKEN
    return { kind: 'hello', serverName: serverNameIn(extensions) }
  } catch {
    return BROKEN
  }
}

/** The handshake message with its header, once it is whole. */
function joinRecords(bytes: Buffer): Buffer | Hello {
  const parts: Buffer[] = []
  let joined = 0
  let needed: number | undefined
  for (let at = 0; ; ) {
    if (needed !== undefined && joined >= needed) {
      // Whatever follows the ClientHello in its last record would be a second message: not before
      // the server has answered.
      return joined === needed ? Buffer.concat(parts) : BROKEN
    }
    if (bytes.length < at + 5) return bytes.length > at && !startsRecord(bytes, at) ? BROKEN : MORE
    const length = bytes.readUInt16BE(at + 3)
    if (!startsRecord(bytes, at) || length === 0 || length > MAX_RECORD) return BROKEN
    if (bytes.length < at + 5 + length) return bytes.length > MAX_HELLO ? BROKEN : MORE
    parts.push(bytes.subarray(at + 5, at + 5 + length))
    joined += length
    at += 5 + length
    if (needed === undefined && joined >= 4) {
      const start = Buffer.concat(parts)
      needed = 4 + start.readUIntBE(1, 3)
      if (start[0] !== CLIENT_HELLO || needed > MAX_HELLO) return BROKEN
    }
  }
}

function startsRecord(bytes: Buffer, at: number): boolean {
  return bytes[at] === HANDSHAKE && (bytes.length <= at + 1 || bytes[at + 1] === 3)
}

function serverNameIn(extensions: Cursor): string | undefined {
  let found: string | undefined
  while (!extensions.empty) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type !== SERVER_NAME) continue
    if (found !== undefined) throw new RangeError('two server_name extensions')
    found = hostNameIn(content)
  }
  return found
}

function hostNameIn(content: Buffer): string {
  const outer = new Cursor(content)
  const list = new Cursor(outer.vector(2))
  const type = list.number(1)
  const name = list.vector(2)
  if (type !== 0 || !list.empty || !outer.empty) throw new RangeError('not one host name')
  return parseHost(name.toString('latin1'))
}

class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get empty(): boolean {
    return this.#at === this.#bytes.length
  }

  skip(count: number): void {
    this.take(count)
  }

  number(size: number): number {
    return this.take(size).readUIntBE(0, size)
  }

  vector(lengthSize: number): Buffer {
    return this.take(this.number(lengthSize))
  }

  take(count: number): Buffer {
    const end = this.#at + count
    if (end > this.#bytes.length) throw new RangeError('past the end')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}
