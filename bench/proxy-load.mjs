// The client of bench/proxy.mjs: keep-alive connections, a CONNECT and a TLS handshake each, and one
// request at a time on each. It writes bytes made beforehand, so that what it costs itself is little
// and the same for every proxy.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { BODY, PATH } from './proxy-document.mjs'

const END_OF_HEAD = '\r\n\r\n'
const LAST_CHUNK = Buffer.from(`0${END_OF_HEAD}`)

/** One open connection by way of a proxy. `proxy`: port, ca, authority and the credential it wants. */
export class Connection {
  #socket
  #next
  #pieces = Buffer.alloc(0)
  #waiting = null

  /** `next` gives the bytes of the request that comes next. */
  static async open({ port, ca, host, authority }, next) {
    const below = net.connect(port, '127.0.0.1').setNoDelay(true)
    below.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    let answer = '' // in pieces, from some
    while (!answer.endsWith(END_OF_HEAD))
      answer += (await once(below, 'data'))[0].toString('latin1')
    if (!/^HTTP\/1\.[01] 200/.test(answer)) throw new Error(`CONNECT was refused: ${answer}`)
    const socket = tls.connect({ socket: below, servername: host, ca })
    await once(socket, 'secureConnect')
    return new Connection(socket, next)
  }

  constructor(socket, next) {
    this.#next = next
    this.#socket = socket
    socket.on('data', (piece) => this.#take(piece))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('the proxy closed the connection')))
  }

  /** Resolves when the whole answer is there; rejects for any status but 200. */
  ask() {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(this.#next())
    })
  }

  close() {
    this.#socket.destroy()
  }

  #take(piece) {
    this.#pieces = this.#pieces.length === 0 ? piece : Buffer.concat([this.#pieces, piece])
    const end = this.#pieces.indexOf(END_OF_HEAD)
    if (end < 0) return
    const head = this.#pieces.toString('latin1', 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)
    const whole = length
      ? this.#pieces.length >= end + END_OF_HEAD.length + Number(length[1])
      : this.#pieces.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
    if (!whole) return
    const { resolve, reject } = this.#waiting
    const text = this.#pieces
    this.#waiting = null
    this.#pieces = Buffer.alloc(0)
    if (head.startsWith('HTTP/1.1 200')) resolve()
    else reject(new Error(`not what was asked for: ${text}`))
  }
}

/**
 * As many requests as `connections` can ask one after the other; requests per second. Of several
 * `bodies` each is sent before the first comes again.
 */
export async function throughput(proxy, connections, seconds, bodies = [BODY]) {
  const open = await openMany(proxy, connections, bodies)
  const started = performance.now()
  const end = started + seconds * 1000
  let done = 0
  try {
    await Promise.all(
      open.map(async (connection) => {
        for (; performance.now() < end; done++) await connection.ask()
      }),
    )
  } finally {
    for (const connection of open) connection.close()
  }
  const took = performance.now() - started
  return { done, perSecond: done / (took / 1000) }
}

/**
 * Latencies at a fixed rate, in milliseconds. A request is sent when its time comes, whether earlier
 * ones are answered or not, as long as one of the connections is free; its wait for one counts.
 */
export async function latencies(proxy, connections, perSecond, count) {
  const free = await openMany(proxy, connections, [BODY])
  const all = [...free]
  const times = []
  const asking = []
  const waiting = []
  const one = async (asked) => {
    const connection = free.pop() ?? (await new Promise((next) => waiting.push(next)))
    await connection.ask()
    times.push(performance.now() - asked)
    const next = waiting.shift()
    if (next) next(connection)
    else free.push(connection)
  }
  const started = performance.now()
  for (let sent = 0; sent < count; sent++) {
    const early = started + (sent * 1000) / perSecond - performance.now()
    if (early > 0) await new Promise((due) => setTimeout(due, early))
    asking.push(one(performance.now()))
  }
  await Promise.all(asking)
  for (const connection of all) connection.close()
  return times
}

function openMany(proxy, count, bodies) {
  const requests = bodies.map((body) => requestOf(proxy, body))
  let sent = 0
  const next = () => requests[sent++ % requests.length]
  return Promise.all(Array.from({ length: count }, () => Connection.open(proxy, next)))
}

function requestOf({ authority, token }, body) {
  const fields = [
    `POST ${PATH} HTTP/1.1`,
    `Host: ${authority.replace(/:443$/, '')}`,
    `Project-Access-Token: ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${fields.join('\r\n')}\r\n\r\n${body}`)
}
