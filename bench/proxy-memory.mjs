// What the proxy holds: `npx node bench/proxy-memory.mjs [tunnels] [megabytes]`
//
// The resident memory of a process with nothing but one listener in it, client and upstream in
// processes of their own: with idle tunnels open (CONNECT and a TLS handshake through it, then
// silence), and at its highest while bytes stream through, judged and re-encrypted, both ways.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import net from 'node:net'
import { loadavg } from 'node:os'
import tls from 'node:tls'
import { CertificateAuthority } from '../src/proxy/certificates.ts'
import { openListener } from '../src/proxy/listener.ts'

const MEGABYTE = Buffer.alloc(1024 * 1024, 'm')
const notAfter = new Date(Date.now() + 3_600_000)
const roles = { upstream, broker }

/** `GET /megabytes/N` is answered with N megabytes; what is posted is counted. Both versions of HTTP. */
async function upstream() {
  const ca = await CertificateAuthority.create('bench', new Date(), notAfter)
  const { chain, key } = await ca.leaf('api.test')
  const options = { cert: chain, key: key.reveal(), allowHTTP1: true }
  const server = createSecureServer(options, (request, response) => {
    if (request.method === 'POST') {
      let size = 0
      request.on('data', (piece) => {
        size += piece.length
      })
      request.on('end', () => response.end(String(size)))
      return
    }
    let left = Number(request.url.split('/').at(-1))
    const more = () => {
      while (left-- > 0) if (!response.write(MEGABYTE)) return response.once('drain', more)
      return response.end()
    }
    more()
  })
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, ca: ca.pem }))
}

async function broker({ port, ca }) {
  const upstream = { origin: `https://api.test:${port}`, ca, reserved: true }
  const tunnel = { kind: 'tunnel', withoutName: 'refuse', otherProtocols: 'refuse', reserved: true }
  const gate = {
    route: async ({ host }) => (host === 'api.test' ? { kind: 'intercept' } : tunnel),
    judge: async () => ({ kind: 'allow', upstream }),
    outcome() {},
    refused() {},
  }
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const listener = await openListener({ lease: 'bench', gate, at: 'loopback', notAfter, resolve })
  let peak = 0
  setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  process.on('message', (word) => {
    if (word === 'settle') for (let round = 0; round < 3; round++) globalThis.gc()
    if (word === 'start') peak = 0
    process.send({ rss: process.memoryUsage.rss(), peak, open: listener.open })
  })
  process.send({ port: listener.port, ca: listener.ca })
}

async function start(role, data) {
  const child = fork(import.meta.filename, [role], {
    execArgv: [...process.execArgv, '--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.send(data ?? {})
  const [ready] = await once(child, 'message')
  const ask = async (word) => {
    child.send(word)
    const [told] = await once(child, 'message')
    return told
  }
  return { child, ask, ...ready }
}

async function connection(proxy, authority, options) {
  const socket = net.connect(proxy.port, '127.0.0.1')
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  await once(socket, 'data')
  const secure = tls.connect({ socket, ...options })
  await once(secure, 'secureConnect')
  return secure
}

async function perTunnel(proxy, origin, count, intercepted) {
  const authority = intercepted ? 'api.test:443' : `open.test:${origin.port}`
  const options = intercepted
    ? { ca: proxy.ca, servername: 'api.test' }
    : { ca: origin.ca, servername: 'open.test', checkServerIdentity: () => undefined }
  const open = async (many) => {
    const sockets = []
    for (let at = 0; at < many; at++) sockets.push(await connection(proxy, authority, options))
    return sockets
  }
  const warm = await open(50) // code is compiled, pools are as large as they get
  for (const socket of warm) socket.destroy()
  await new Promise((closed) => setTimeout(closed, 500))
  const before = await proxy.ask('settle')
  const sockets = await open(count)
  await new Promise((idle) => setTimeout(idle, 500))
  const after = await proxy.ask('settle')
  for (const socket of sockets) socket.destroy()
  return (after.rss - before.rss) / count / 1024
}

async function down(proxy, megabytes, http2) {
  const options = {
    ca: proxy.ca,
    servername: 'api.test',
    ALPNProtocols: [http2 ? 'h2' : 'http/1.1'],
  }
  const socket = await connection(proxy, 'api.test:443', options)
  let size = 0
  const take = (piece) => {
    size += piece.length
  }
  if (http2) {
    const session = connectHttp2('https://api.test', { createConnection: () => socket })
    const stream = session.request({ ':path': `/megabytes/${megabytes}` }).on('data', take)
    await once(stream, 'end')
    session.destroy()
  } else {
    socket.on('data', take)
    socket.write(
      `GET /megabytes/${megabytes} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n`,
    )
    await once(socket, 'end')
  }
  socket.destroy()
  if (size < megabytes * MEGABYTE.length) throw new Error(`only ${size} bytes came`)
}

async function up(proxy, megabytes) {
  const options = { ca: proxy.ca, servername: 'api.test', ALPNProtocols: ['http/1.1'] }
  const socket = await connection(proxy, 'api.test:443', options)
  const size = megabytes * MEGABYTE.length
  socket.write(`POST /up HTTP/1.1\r\nHost: api.test\r\nContent-Length: ${size}\r\n\r\n`)
  for (let sent = 0; sent < megabytes; sent++) {
    if (!socket.write(MEGABYTE)) await once(socket, 'drain')
  }
  const [answer] = await once(socket, 'data')
  socket.destroy()
  if (!answer.includes('200')) throw new Error(`refused: ${answer}`)
}

/** Growth of the highest point over where it stood, after a tenth as much has gone through. */
async function streamed(proxy, act, megabytes) {
  await act(proxy, Math.ceil(megabytes / 10))
  const before = await proxy.ask('settle')
  await proxy.ask('start')
  const started = performance.now()
  await act(proxy, megabytes)
  const seconds = (performance.now() - started) / 1000
  const { peak } = await proxy.ask('report')
  return { grown: (peak - before.rss) / MEGABYTE.length, rate: megabytes / seconds }
}

async function main() {
  const count = Number(process.argv[2] ?? 500)
  const megabytes = Number(process.argv[3] ?? 1024)
  const limit = setTimeout(() => process.exit(1), 300_000).unref()
  const children = []
  process.on('exit', () => {
    for (const child of children) child.kill()
  })
  const load = loadavg()[0].toFixed(1)
  const origin = await start('upstream')
  children.push(origin.child)
  const rows = []
  for (const [name, intercepted] of [
    ['tunnelled', false],
    ['intercepted', true],
  ]) {
    const proxy = await start('broker', { port: origin.port, ca: origin.ca })
    children.push(proxy.child)
    const each = await perTunnel(proxy, origin, count, intercepted)
    rows.push([`${count} idle connections, ${name}`, `${each.toFixed(1)} KB each`, '< 100 KB'])
    proxy.child.kill()
  }
  for (const [name, act] of [
    ['down', (proxy, size) => down(proxy, size, false)],
    ['down, the client over HTTP/2', (proxy, size) => down(proxy, size, true)],
    ['up', up],
  ]) {
    const proxy = await start('broker', { port: origin.port, ca: origin.ca })
    children.push(proxy.child)
    const { grown, rate } = await streamed(proxy, act, megabytes)
    const figures = `+${grown.toFixed(1)} MB at ${rate.toFixed(0)} MB/s`
    rows.push([`${megabytes} MB streamed ${name}`, figures, '< 50 MB'])
    proxy.child.kill()
  }
  console.log('| what | held | at most |\n|---|---|---|')
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
  console.log(`\nload average before ${load}, after ${loadavg()[0].toFixed(1)}`)
  clearTimeout(limit)
  process.exit(0)
}

const role = roles[process.argv[2]]
if (role && process.send) process.once('message', role)
else await main()
