// The client of bench/serve.mjs, in a process of its own: keep-alive connections over TLS, one request at a
// time on each, of bytes made beforehand, so that it costs little and the same for every server.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'

const END_OF_HEAD = '\r\n\r\n'
const tasks = { throughput, latencies }

if (process.send) {
  process.on('message', async ({ task, target, bodies, terms }) => {
    try {
      process.send({ result: await tasks[task](target, bodies, terms) })
    } catch (error) {
      process.send({ failure: error.message })
    }
  })
}

/** Starts the process; `ask('throughput' | 'latencies', target, bodies, terms)` resolves with its result. */
export function startClient(bench) {
  const child = fork(fileURLToPath(import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  bench.children.add(child)
  return async (task, target, bodies, terms) => {
    child.send({ task, target, bodies, terms })
    const [{ result, failure }] = await once(child, 'message')
    if (failure !== undefined) throw new Error(`${target.name}: ${failure}`)
    return result
  }
}

/** How long all of the requests take over `connections`, in milliseconds. */
async function throughput(target, bodies, { connections }) {
  const open = await openMany(target, connections)
  const requests = bodies.map((body) => requestOf(target, body))
  let next = 0
  const began = performance.now()
  await Promise.all(
    open.map(async (connection) => {
      while (next < requests.length) await connection.ask(requests[next++])
    }),
  )
  const took = performance.now() - began
  for (const connection of open) connection.close()
  return took
}

/**
 * Latencies at a fixed rate, in milliseconds, and how many got no token. A request is sent when its time comes, whether earlier
 * ones are answered or not, as long as one of the connections is free; its wait for one counts.
 */
async function latencies(target, bodies, { connections, perSecond }) {
  const all = await openMany(target, connections)
  const free = [...all]
  const waiting = []
  const times = []
  let failed = 0
  const one = async (request, due) => {
    const connection = free.pop() ?? (await new Promise((next) => waiting.push(next)))
    const gotIt = await connection.ask(request).then(
      () => true,
      () => false,
    )
    if (gotIt) times.push(performance.now() - due)
    else failed++
    const next = waiting.shift()
    if (next) next(connection)
    else free.push(connection)
  }
  const asking = []
  const began = performance.now()
  for (const [sent, body] of bodies.entries()) {
    const request = requestOf(target, body)
    const due = began + (sent * 1000) / perSecond
    const early = due - performance.now()
    if (early > 0) await new Promise((then) => setTimeout(then, early))
    asking.push(one(request, due))
  }
  await Promise.all(asking)
  for (const connection of all) connection.close()
  return { times, failed }
}

function openMany(target, count) {
  return Promise.all(Array.from({ length: count }, () => Connection.open(target)))
}

function requestOf({ port }, body) {
  const head = [
    'POST /oauth/token HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(head.join('\r\n') + END_OF_HEAD + body)
}

class Connection {
  #socket
  #pieces = Buffer.alloc(0)
  #waiting = null

  static async open({ port, ca }) {
    const socket = tls.connect({ host: '127.0.0.1', port, ca }).setNoDelay(true)
    await once(socket, 'secureConnect')
    return new Connection(socket)
  }

  constructor(socket) {
    this.#socket = socket
    socket.on('data', (piece) => this.#take(piece))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')))
  }

  /** Resolves when the whole answer is there; rejects for any that is no token. */
  ask(request) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close() {
    this.#waiting = null
    this.#socket.destroy()
  }

  #take(piece) {
    this.#pieces = this.#pieces.length === 0 ? piece : Buffer.concat([this.#pieces, piece])
    const end = this.#pieces.indexOf(END_OF_HEAD)
    if (end < 0) return
    const head = this.#pieces.toString('latin1', 0, end)
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1])
    if (this.#pieces.length < end + END_OF_HEAD.length + length) return
    const { resolve, reject } = this.#waiting
    const text = this.#pieces.toString('latin1')
    this.#waiting = null
    this.#pieces = Buffer.alloc(0)
    // The error alone: what stands in a good answer is a credential.
    if (head.startsWith('HTTP/1.1 200') && text.includes('"access_token"')) resolve()
    else reject(new Error(head.startsWith('HTTP/1.1 200') ? 'no token' : text))
  }
}
