// The other side of bench/proxy.mjs, each in a process of its own: the upstream, a proxy that ends TLS
// and forwards and does nothing else, and proxies that people use.
import { fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { ANSWER, HOST } from './proxy-document.mjs'

const KEEP_ALIVE_MS = 60_000
/** Bytes. What a daemon asks by itself is shorter, and not counted. */
const SHORT = 1000
const NPM_PEERS = { 'http-mitm-proxy': '1.1.0', mockttp: '4.6.5' }

const roles = { upstream, bare, 'http-mitm-proxy': httpMitmProxy, mockttp }
const role = roles[process.argv[2]]
if (role && process.send) process.once('message', (data) => role(data))

/** Answers every POST alike; tells how many there were with each credential. */
async function upstream() {
  const { newIdentity } = await import('../src/demo/cloud/certificate.ts')
  const { certificate, key, ca } = await newIdentity()
  const counts = {}
  const tls = { cert: certificate, key: key.reveal() }
  const server = https.createServer(tls, (request, response) => {
    const { authorization, 'project-access-token': token } = request.headers
    const carried = [authorization, token].filter(Boolean).join()
    const isOurs = Number(request.headers['content-length']) >= SHORT
    if (isOurs) counts[carried] = (counts[carried] ?? 0) + 1
    const fields = { 'content-type': 'application/json', 'content-length': ANSWER.length }
    request.resume().on('end', () => response.writeHead(200, fields).end(ANSWER))
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  process.on('message', () => process.send(counts))
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, ca }))
}

async function bare({ port, ca }) {
  const { newIdentity } = await import('../src/demo/cloud/certificate.ts')
  const own = await newIdentity()
  const agent = new https.Agent({ keepAlive: true, maxSockets: 256 })
  const inner = http.createServer((request, response) => {
    const { method, url: path, headers } = request
    const target = { host: '127.0.0.1', port, servername: HOST, ca, agent }
    const sent = https.request({ ...target, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    request.pipe(sent)
  })
  inner.keepAliveTimeout = KEEP_ALIVE_MS
  const ends = tls.createServer({ cert: own.certificate, key: own.key.reveal() }, (socket) =>
    inner.emit('connection', socket),
  )
  const outer = http.createServer().on('connect', (_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    ends.emit('connection', socket.setNoDelay(true))
  })
  outer.listen(0, '127.0.0.1', () => process.send({ port: outer.address().port, ca: own.ca }))
}

async function httpMitmProxy({ ca, folder }) {
  const peer = createRequire(join(folder, 'index.js'))('http-mitm-proxy')
  const proxy = new peer.Proxy()
  const sslCaDir = join(folder, 'http-mitm-proxy-ca')
  proxy.onError((_context, error) => console.error('http-mitm-proxy:', error?.message))
  const httpsAgent = new https.Agent({ keepAlive: true, maxSockets: 256, ca })
  proxy.listen({ host: '127.0.0.1', port: 0, sslCaDir, keepAlive: true, httpsAgent }, () =>
    process.send({
      port: proxy.httpPort,
      ca: readFileSync(join(sslCaDir, 'certs/ca.pem'), 'utf8'),
    }),
  )
}

async function mockttp({ ca, folder }) {
  const { getLocal, generateCACertificate } = createRequire(join(folder, 'index.js'))('mockttp')
  const own = await generateCACertificate()
  const server = getLocal({ https: own, http2: false, recordTraffic: false })
  await server.start()
  await server.forUnmatchedRequest().thenPassThrough({ additionalTrustedCAs: [{ cert: ca }] })
  process.send({ port: server.port, ca: own.cert })
}

/** Starts one of the roles above and resolves when it is ready. */
export async function startRole(bench, name, data = {}) {
  const child = fork(import.meta.filename, [name], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  bench.children.add(child)
  child.send(data)
  const [ready] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended at its start`))),
  ])
  return { name, child, pid: child.pid, ...ready }
}

/** Debian's `mitmdump`; null, with a loud line, where it is not installed. */
export async function startMitmproxy(bench, { ca }) {
  const found = spawnSync('mitmdump', ['--version'], { encoding: 'utf8' })
  if (found.error) {
    console.error('NOT MEASURED: mitmproxy (apt-get install mitmproxy)')
    return null
  }
  const folder = join(bench.folder, 'mitmproxy')
  mkdirSync(folder)
  writeFileSync(join(folder, 'upstream.pem'), ca)
  const port = await freePort()
  const settings = [`confdir=${folder}`, `ssl_verify_upstream_trusted_ca=${folder}/upstream.pem`]
  const child = spawn(
    'mitmdump',
    ['-q', '--listen-host', '127.0.0.1', '-p', port, ...settings.flatMap((one) => ['--set', one])],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  bench.children.add(child)
  const caFile = join(folder, 'mitmproxy-ca-cert.pem')
  for (let tries = 0; !(existsSync(caFile) && (await accepts(port))); tries++) {
    if (tries > 600 || child.exitCode !== null) throw new Error('mitmdump did not start')
    await new Promise((next) => setTimeout(next, 50))
  }
  const version = /Mitmproxy: (\S+)/.exec(found.stdout)?.[1]
  const name = `mitmproxy ${version}`
  return { name, child, pid: child.pid, port, ca: readFileSync(caFile, 'utf8') }
}

/** Installs the npm peers into the temp folder, exactly these versions, and without their scripts. */
export async function startNpmPeers(bench, { ca }) {
  if (process.env.BENCH_PEERS !== '1') {
    console.error(
      `NOT MEASURED: ${Object.keys(NPM_PEERS).join(', ')} (BENCH_PEERS=1 installs them)`,
    )
    return []
  }
  const folder = join(bench.folder, 'peers')
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  const wanted = Object.entries(NPM_PEERS).map(([name, version]) => `${name}@${version}`)
  const npm = spawn('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...wanted], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  bench.children.add(npm)
  const [status] = await once(npm, 'exit')
  if (status !== 0) throw new Error(`npm could not install ${wanted.join(', ')}`)
  const started = []
  for (const [name, version] of Object.entries(NPM_PEERS)) {
    started.push({ ...(await startRole(bench, name, { ca, folder })), name: `${name} ${version}` })
  }
  return started
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
