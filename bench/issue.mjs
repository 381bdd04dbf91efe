// Issue + acknowledge + revoke of `jwt` leases over the HTTP API, every commit durable, against the same
// number of bare durable SQLite transactions one at a time (4 a lease) in the same run.
//   node bench/issue.mjs [leases] [concurrency]
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const total = Number(process.argv[2] ?? 4000)
const concurrency = Number(process.argv[3] ?? 16)
const root = join(import.meta.dirname, '..')
const home = mkdtempSync(join(tmpdir(), 'broker-bench-'))
const env = { ...process.env, BROKER_HOME: home, BROKER_VAULT: 'file' }

const daemon = spawn(process.execPath, [join(root, 'dist/daemon/main.js')], {
  env,
  stdio: ['pipe', 'ignore', 'inherit'],
})
daemon.stdin.end('{}\n')
const socketPath = join(home, 'run', 'broker.sock')
const agent = new Agent({ keepAlive: true, maxSockets: concurrency })

function call(method, path, body) {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}` }
    if (text !== undefined)
      Object.assign(headers, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      })
    const asking = request({ socketPath, agent, method, path, headers }, (answer) => {
      let got = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk) => {
        got += chunk
      })
      answer.on('end', () =>
        answer.statusCode < 300 ? resolve(JSON.parse(got)) : reject(new Error(got)),
      )
    })
    asking.on('error', reject)
    asking.end(text)
  })
}

process.on('exit', () => daemon.kill('SIGKILL')) // also when something below throws

let key = ''
for (;;) {
  try {
    key = readFileSync(join(home, 'config', 'operator.key'), 'utf8').trim()
    await call('GET', '/healthz')
    break
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function one() {
  const { lease } = await call('POST', '/v1/leases', { environment: 'staging' })
  await call('POST', `/v1/leases/${lease.id}/ack`)
  await call('DELETE', `/v1/leases/${lease.id}`)
}

async function many(count) {
  let left = count
  const began = performance.now()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left-- > 0) await one()
    }),
  )
  return count / ((performance.now() - began) / 1000)
}

function baseline(seconds) {
  const db = new DatabaseSync(join(home, 'baseline.sqlite'))
  db.exec(
    'pragma journal_mode = wal; pragma synchronous = full; create table if not exists t (a integer primary key, b text)',
  )
  const insert = db.prepare('insert into t (b) values (?)')
  let count = 0
  for (const end = performance.now() + seconds * 1000; performance.now() < end; count++) {
    for (let n = 0; n < 4; n++) {
      db.exec('begin immediate')
      insert.run('x'.repeat(300))
      db.exec('commit')
    }
  }
  db.close()
  return count / seconds
}

await many(Math.min(500, total)) // warm
const rounds = []
for (let n = 0; n < 3; n++) rounds.push({ ours: await many(total), bare: baseline(1) })
rounds.sort((a, b) => a.ours - b.ours)
const { ours, bare } = rounds[1]
console.log('| issue + ack + revoke of a jwt lease over the API | leases/s |')
console.log('|---|---|')
console.log(
  `| ours, ${concurrency} at once, every commit durable (median of 3 × ${total}) | ${Math.round(ours)} |`,
)
console.log(`| bare SQLite, 4 durable transactions a lease, one at a time | ${Math.round(bare)} |`)
console.log(`| ratio | ${(ours / bare).toFixed(2)} |`)
agent.destroy()
daemon.kill('SIGTERM')
await new Promise((resolve) => daemon.once('exit', resolve))
rmSync(home, { recursive: true, force: true })
