// What bench/serve.mjs measures against and with: an issuer, identity tokens, `broker serve` of the built
// release, and a bare server in a process of its own.
import { fork, spawn } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { jwtVerify } from 'jose'
import { CertificateAuthority } from '../src/proxy/certificates.ts'
import { BIN, cpuMs, environment, until } from './daemon.mjs'

const HOUR_MS = 3_600_000
const KID = 'bench'
const signAsync = promisify(sign)

if (process.send && process.argv[2] === 'bare') process.once('message', bare)

async function identity() {
  const authority = await CertificateAuthority.create(
    'bench',
    new Date(),
    new Date(Date.now() + HOUR_MS),
  )
  const { chain, key } = await authority.leaf('127.0.0.1')
  return { ca: authority.pem, cert: chain, key: key.reveal() }
}

/** Discovery and keys, until `close`. Counts what it was asked for. */
export async function startIssuer(bench) {
  const { ca, cert, key } = await identity()
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: KID, alg: 'RS256', use: 'sig' }]
  const asked = []
  const server = createServer({ cert, key }, ({ url: path }, response) => {
    asked.push(path)
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify(path === '/jwks' ? { keys } : { issuer: url, jwks_uri: `${url}/jwks` }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${server.address().port}`
  const close = async () => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  bench.onEnd(() => server.listening && close())
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  return { url, ca, asked, privateKey, pem, close }
}

/** Request bodies with fresh tokens of as many jobs, each of a run of its own. Signed here, not timed. */
export function exchanges({ url, privateKey }, audience, count, kid = KID) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = part({ alg: 'RS256', kid, typ: 'JWT' })
  const iat = Math.floor(Date.now() / 1000)
  return Promise.all(
    Array.from({ length: count }, async () => {
      const run = randomUUID()
      const ids = { repository_id: '456789', run_id: run, run_attempt: '1', check_run_id: '1' }
      const job = {
        ref: 'refs/heads/main',
        event_name: 'push',
        repository: 'octo-org/hello',
        ...ids,
      }
      const claims = {
        iss: url,
        aud: audience,
        sub: `run:${run}`,
        jti: run,
        iat,
        exp: iat + 300,
        ...job,
      }
      const signed = `${header}.${part(claims)}`
      const signature = await signAsync('sha256', Buffer.from(signed), privateKey)
      return new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: `${signed}.${signature.toString('base64url')}`,
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        audience: 'ci',
        scope: 'template:deploy',
      }).toString()
    }),
  )
}

const policy = (issuer) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
  deploy:
    environments: [ci]
    ttl: 15m
    maxLive: 1000000
    who:
      - oidc: { issuer: "${issuer}", claims: { repository_id: "456789", ref: refs/heads/main, event_name: push } }
    grants:
      api: { allow: [deploy:write] }
`

export async function startServer(bench, issuer, port) {
  const home = join(bench.folder, 'home')
  const { ca, cert, key } = await identity()
  const file = (name, text) => {
    writeFileSync(join(bench.folder, name), text, { mode: 0o600 })
    return join(bench.folder, name)
  }
  const files = { cert: file('server.pem', cert), key: file('server.key', key) }
  const issuerCa = file('issuer-ca.pem', issuer.ca)
  const yaml = file('broker.yaml', policy(issuer.url))
  const env = environment(home)
  // Applied by a daemon of its own: the server finds it, and asks the issuer for its keys at the start.
  await cli(env, ['template', 'apply', yaml, '--yes'])
  await cli(env, ['daemon', 'stop'])
  const flags = ['--tls-cert', files.cert, '--tls-key', files.key, '--issuer-ca', issuerCa]
  const args = ['serve', '--listen', `127.0.0.1:${port}`, ...flags, '--allow-private-issuers']
  const node = process.env.BENCH_NODE_FLAGS?.split(' ') ?? []
  const child = spawn(process.execPath, [...node, BIN, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  bench.children.add(child)
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      if (log.length < 10_000) log += text
    })
  }
  const target = {
    name: 'broker serve',
    port,
    ca,
    url: `https://127.0.0.1:${port}`,
    pid: child.pid,
  }
  await until('it serves', async () => {
    if (child.exitCode !== null) throw new Error(`broker serve ended: ${log}`)
    return issuer.asked.includes('/jwks') && (await listens(target))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
    bench.children.delete(child)
  }
  bench.onEnd(() => child.exitCode === null && stop())
  return { ...target, home, env, stop, cpuMs: () => cpuMs(child.pid) }
}

function listens({ url, ca }) {
  const { request } = process.getBuiltinModule('node:https')
  return new Promise((resolve) => {
    request(`${url}/healthz`, { ca, agent: false }, (answer) =>
      resolve(answer.resume().statusCode === 200),
    )
      .once('error', () => resolve(false))
      .end()
  })
}

export async function cli(env, args) {
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let remarks = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  child.stderr.on('data', (text) => {
    remarks += text
  })
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`broker ${args.join(' ')} ended with ${status}: ${remarks}`)
  return out
}

/** The same work without a broker: TLS, the form, RS256, and as many durable commits, one at a time. */
export async function startBare(bench, issuer, audience) {
  const child = fork(fileURLToPath(import.meta.url), ['bare'])
  bench.children.add(child)
  child.send({ pem: issuer.pem, issuer: issuer.url, audience, folder: bench.folder })
  const [{ port, ca }] = await once(child, 'message')
  return { name: 'bare', port, ca, cpuMs: () => cpuMs(child.pid) }
}

async function bare({ pem, issuer, audience, folder }) {
  const publicKey = createPublicKey(pem)
  const db = new DatabaseSync(join(folder, 'bare.sqlite'))
  db.exec(
    'pragma journal_mode = wal; pragma synchronous = full; create table t (a integer primary key, b text)',
  )
  const insert = db.prepare('insert into t (b) values (?)')
  const { ca, cert, key } = await identity()
  const server = createServer({ cert, key }, async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    const token = new URLSearchParams(text).get('subject_token')
    await jwtVerify(token, publicKey, { issuer, audience, algorithms: ['RS256'] })
    // The intent with the token that is used up, and the lease that is active.
    for (let n = 0; n < 2; n++) {
      db.exec('begin immediate')
      insert.run('x'.repeat(1000))
      db.exec('commit')
    }
    const body = Buffer.from(JSON.stringify({ access_token: token }))
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      .end(body)
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, ca }))
}
