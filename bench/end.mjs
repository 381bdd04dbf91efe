// From a task's end to its confirmed revocation, against a real PostgreSQL on this machine (fsync on): as a
// task sees it (`broker exec`), and without any process start (the session's own frames), beside the bare
// statements on an open connection.
//   node bench/end.mjs [tasks]
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { startPostgres } from '../test/fixtures/postgres.ts'
import { BIN, environment, quantile, run, startDaemon, table } from './daemon.mjs'

const tasks = Number(process.argv[2] ?? 100)
const WARM = 5

const CONFIGURATION = `version: 1
environments:
  staging:
    db: { connection: pg, schemas: [public] }
templates:
  dev:
    environments: [staging]
    ttl: 30m
    isolation: scrub
    grants:
      db: { allow: [read, write] }
`

await run({ limitSeconds: 300 }, async (bench) => {
  const settings = { fsync: 'on', full_page_writes: 'on', log_statement: 'none' }
  const server = await startPostgres({ settings })
  bench.onEnd(() => server.dispose())
  await server.createDatabase('app')
  await server.query('create table orders (id bigint primary key, total numeric)', [], 'app')
  const admin = await server.createNarrowAdmin('app')
  const daemon = await startDaemon(bench)
  await broker(bench, daemon, ['connect', 'postgres', 'pg', '--secret-stdin'], admin.url('app'))
  const file = join(bench.folder, 'broker.yaml')
  writeFileSync(file, CONFIGURATION)
  await broker(bench, daemon, ['template', 'apply', file, '--yes'])

  const rows = []
  const measure = async (name, once, bound) => {
    for (let n = 0; n < WARM; n++) await once()
    const took = []
    for (let n = 0; n < tasks; n++) took.push(await once())
    rows.push(row(name, took, bound))
  }
  const superuser = await openClient(bench, server.adminUrl('app'))
  await measure('bare statements on an open connection', () => bare(superuser))
  await measure('session: `end` to `ended`', () => session(daemon), true)
  await measure('session, the task left a connection open', () => leftOpen(daemon), true)
  await measure('broker exec: command ends to exec ends', () => exec(bench, daemon), true)
  const roles = await server.query("select rolname from pg_roles where rolname like 'broker\\_%'")
  if (roles.length > 0) throw new Error(`${roles.length} roles were left behind`)
  table([`end to confirmed revocation, ${tasks} each`, 'p50', 'p99', 'most', 'bounds'], rows)
  console.log('\nbounds: p50 50 ms, p99 250 ms; no role left behind')
})

function row(name, took, bound) {
  const ms = (value) => `${value.toFixed(1)} ms`
  const [p50, p99] = [quantile(took, 0.5), quantile(took, 0.99)]
  const verdict = p50 <= 50 && p99 <= 250 ? 'met' : 'missed'
  return [name, ms(p50), ms(p99), ms(Math.max(...took)), bound ? verdict : '']
}

/** Wall-clock milliseconds with their fractions, comparable between processes. */
function now() {
  return performance.timeOrigin + performance.now()
}

async function openClient(bench, connectionString) {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {}) // it is cut off on purpose
  await client.connect()
  bench.onEnd(() => client.end().catch(() => {}))
  return client
}

/** What has to happen at the server in any case. */
async function bare(client) {
  const role = `bare_${Math.random().toString(36).slice(2, 10)}`
  await client.query(`create role ${role} login password 'x'`)
  await client.query(`grant usage on schema public to ${role}`)
  await client.query(`grant select, insert, update on all tables in schema public to ${role}`)
  const began = performance.now()
  await client.query(`alter role ${role} nologin`)
  await client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
    role,
  ])
  await client.query(`drop owned by ${role}`)
  await client.query(`drop role ${role}`)
  return performance.now() - began
}

async function session(daemon, during = async () => {}) {
  const socket = connect(daemon.socketPath)
  try {
    const send = (frame) => socket.write(`${JSON.stringify(frame)}\n`)
    socket.write(
      'POST /v1/session HTTP/1.1\r\nhost: broker\r\nconnection: Upgrade\r\nupgrade: broker-session\r\n' +
        `authorization: Bearer ${daemon.key}\r\n\r\n`,
    )
    send({ type: 'request', request: { environment: 'staging' } })
    const frames = framesOf(socket)
    const { variables } = await expected(frames, 'lease')
    send({ type: 'ack' })
    await expected(frames, 'bound')
    send({ type: 'started', pid: process.pid })
    await during(variables)
    const began = performance.now()
    send({ type: 'end', exitCode: 0, signal: null })
    const { lease } = await expected(frames, 'ended')
    const took = performance.now() - began
    if (lease.state !== 'revoked') throw new Error(`the lease is ${lease.state}`)
    return took
  } finally {
    socket.destroy()
  }
}

async function* framesOf(socket) {
  for await (const line of createInterface({ input: socket })) {
    if (line.startsWith('{')) yield JSON.parse(line)
  }
}

async function expected(frames, type) {
  for (;;) {
    const { value, done } = await frames.next()
    if (done) throw new Error(`the session ended before "${type}"`)
    if (value.type === type) return value
    if (value.type === 'error') throw new Error(value.error.message)
  }
}

/** The revocation has to cut off a session that stands in the middle of a transaction. */
async function leftOpen(daemon) {
  let client
  const took = await session(daemon, async (variables) => {
    client = new pg.Client({ connectionString: variables.DATABASE_URL })
    client.on('error', () => {})
    await client.connect()
    await client.query('begin; select count(*) from orders')
  })
  const still = await client.query('select 1').then(
    () => true,
    () => false,
  )
  if (still) throw new Error('the session lived on')
  return took
}

/** The command prints when it ends; what comes after that is exec's own. */
async function exec(bench, daemon) {
  const flags = [
    'exec',
    '--quiet',
    '--isolation',
    'scrub',
    '--env',
    'staging',
    '--',
    'date',
    '+%s%N',
  ]
  const { out, endedAt } = await broker(bench, daemon, flags)
  return endedAt - Number(out.trim()) / 1e6
}

function broker(bench, daemon, args, input = '') {
  const child = spawn(process.execPath, [BIN, ...args], { env: environment(daemon.home) })
  bench.children.add(child)
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  child.stdin.end(input)
  let endedAt
  child.once('exit', () => {
    endedAt = now()
  })
  return new Promise((resolve, reject) => {
    child.once('close', (status) => {
      bench.children.delete(child)
      if (status === 0) resolve({ out, endedAt })
      else reject(new Error(`broker ${args[0]} ended with ${status}: ${err}`))
    })
  })
}
