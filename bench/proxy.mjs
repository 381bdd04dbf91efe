// What the enforcing proxy costs over a bare one: the same upstream, payload and client, each in a
// process of its own, over TLS on loopback. The bare proxy ends TLS and forwards, and does nothing
// else. `npx node bench/proxy.mjs [seconds]`; prints one JSON object.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { CertificateAuthority } from '../src/proxy/certificates.ts'
import { openListener } from '../src/proxy/listener.ts'

const PAYLOAD = JSON.stringify({ query: 'query { a }', variables: { pad: 'x'.repeat(2000) } })
const notAfter = new Date(Date.now() + 3_600_000)
const roles = { upstream, bare, broker }

async function upstream() {
  const ca = await CertificateAuthority.create('bench', new Date(), notAfter)
  const { chain, key } = await ca.leaf('api.test')
  const server = https.createServer({ cert: chain, key: key.reveal() }, (request, response) => {
    request.resume().on('end', () => response.end(PAYLOAD))
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, ca: ca.pem }))
}

async function bare({ port, ca }) {
  const authority = await CertificateAuthority.create('bare', new Date(), notAfter)
  const { chain, key } = await authority.leaf('api.test')
  const agent = new https.Agent({ keepAlive: true, maxSockets: 256 })
  const inner = http.createServer((request, response) => {
    const { method, url: path, headers } = request
    const target = { host: '127.0.0.1', port, servername: 'api.test', ca, agent }
    const sent = https.request({ ...target, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    request.pipe(sent)
  })
  inner.keepAliveTimeout = 60_000
  const ends = tls.createServer({ cert: chain, key: key.reveal() }, (socket) =>
    inner.emit('connection', socket),
  )
  const outer = http.createServer().on('connect', (_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    ends.emit('connection', socket)
  })
  outer.listen(0, '127.0.0.1', () =>
    process.send({ port: outer.address().port, ca: authority.pem }),
  )
}

async function broker({ port, ca }) {
  const upstream = { origin: `https://api.test:${port}`, ca, reserved: true }
  const gate = {
    route: async () => ({ kind: 'intercept' }),
    judge: async ({ body }) =>
      body ? { kind: 'allow', upstream } : { kind: 'inspect', limit: 1_000_000 },
    outcome() {},
    refused() {},
  }
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const listener = await openListener({ lease: 'bench', gate, at: 'loopback', notAfter, resolve })
  process.send({ port: listener.port, ca: listener.ca })
}

async function start(role, data) {
  const child = fork(import.meta.filename, [role], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.send(data ?? {})
  const [ready] = await once(child, 'message')
  return { child, ...ready }
}

async function connection({ port, ca }) {
  const socket = net.connect(port, '127.0.0.1').setNoDelay(true)
  socket.write('CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n')
  await once(socket, 'data')
  const secure = tls.connect({ socket, servername: 'api.test', ca })
  await once(secure, 'secureConnect')
  return secure
}

const REQUEST = `POST /graphql HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(PAYLOAD)}\r\n\r\n${PAYLOAD}`

/** One request; resolves when the whole answer is there. */
function ask(socket) {
  return new Promise((resolve) => {
    let size = 0
    const take = (piece) => {
      size += piece.length
      if (size < PAYLOAD.length || !piece.subarray(-2).equals(Buffer.from('"}}').subarray(1)))
        return
      socket.off('data', take)
      resolve()
    }
    socket.on('data', take)
    socket.write(REQUEST)
  })
}

async function latencies(proxy, seconds, rate) {
  const socket = await connection(proxy)
  for (let warm = 0; warm < 300; warm++) await ask(socket)
  const times = []
  for (let sent = 0; sent < seconds * rate; sent++) {
    const started = performance.now()
    await ask(socket)
    const took = performance.now() - started
    times.push(took)
    await new Promise((next) => setTimeout(next, Math.max(0, 1000 / rate - took)))
  }
  socket.destroy()
  times.sort((a, b) => a - b)
  return { p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }
}

async function throughput(proxy, seconds) {
  const sockets = await Promise.all(Array.from({ length: 10 }, () => connection(proxy)))
  const end = performance.now() + seconds * 1000
  let done = 0
  const loop = async (socket) => {
    while (performance.now() < end) {
      await ask(socket)
      done++
    }
  }
  await Promise.all(sockets.map(loop))
  for (const socket of sockets) socket.destroy()
  return done / seconds
}

async function main() {
  const seconds = Number(process.argv[2] ?? 5)
  const origin = await start('upstream')
  const target = { port: origin.port, ca: origin.ca }
  const result = {}
  const children = [origin.child]
  for (const role of ['bare', 'broker']) {
    const proxy = await start(role, target)
    children.push(proxy.child)
    await throughput(proxy, 1) // warm
    const perSecond = await throughput(proxy, seconds)
    result[role] = { perSecond, ...(await latencies(proxy, seconds, 200)) }
  }
  const { bare, broker } = result
  result.added = { p50: broker.p50 - bare.p50, p99: broker.p99 - bare.p99 }
  result.ratio = broker.perSecond / bare.perSecond
  console.log(JSON.stringify(result, null, 2))
  for (const child of children) child.kill()
}

const role = roles[process.argv[2]]
if (role && process.send) process.once('message', role)
else await main()
