// A million live leases: how soon the daemon serves, how much memory it takes, how fast the first page of
// `tokens` is, and how long it takes to revoke ten thousand leases that expire within one second.
//   node bench/scale.mjs [leases] [expiring]
import { spawn } from 'node:child_process'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BIN, environment, median, run, startDaemon, table, until } from './daemon.mjs'
import { seed } from './seed.mjs'

const total = Number(process.argv[2] ?? 1_000_000)
const expiring = Number(process.argv[3] ?? 10_000)

await run({ limitSeconds: 600 }, async (bench) => {
  const home = join(bench.folder, 'home')
  const began = performance.now()
  const principal = userInfo().username
  const newest = await seed({ home, total, audited: expiring, principal })
  console.log(`${total} leases seeded in ${((performance.now() - began) / 1000).toFixed(1)} s\n`)

  const first = await startDaemon(bench, { home: join(bench.folder, 'empty') })
  const emptyMb = first.rssMb()
  const emptyReady = first.readyMs
  await first.stop()

  const daemon = await startDaemon(bench, { home })
  const coldPage = await page(daemon)
  const listedMb = daemon.rssMb()
  const pages = []
  for (let n = 0; n < 50; n++) pages.push(await page(daemon))
  const inEnvironment = await page(daemon, '&environment=staging')
  const deep = await page(daemon, `&cursor=${newest[newest.length >> 1]}`)
  const command = []
  for (let n = 0; n < 5; n++) command.push(await firstLine(bench, home))

  const ended = await expireAll(daemon, home, newest)
  const verdict = await daemon.call('GET', '/v1/audit/verify')
  if (!verdict.ok) throw new Error(`the audit log does not verify: ${verdict.bad?.message}`)

  const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`
  const mb = (value) => `${value.toFixed(0)} MB`
  const bound = (value, limit, text) => [text(limit), value <= limit ? 'met' : 'missed']
  table(
    [`${total} live leases`, 'measured', 'bound', ''],
    [
      ['daemon ready', ms(daemon.readyMs), ...bound(daemon.readyMs, 2000, ms)],
      ['the same with no lease', ms(emptyReady), '', ''],
      ['memory (RSS) after the first listing', mb(listedMb), ...bound(listedMb, 200, mb)],
      ['the same with no lease, before any', mb(emptyMb), '', ''],
      ['first page of tokens, API, cold', ms(coldPage), ...bound(coldPage, 100, ms)],
      ['first page of tokens, API, median of 50', ms(median(pages)), '', ''],
      ['first page of one environment', ms(inEnvironment), '', ''],
      ['a page in the middle of the newest', ms(deep), '', ''],
      ['broker tokens, start to its first line, median of 5', ms(median(command)), '', ''],
      [
        `${newest.length} expiring within 1 s, all revoked`,
        ms(ended.tookMs),
        ...bound(ended.tookMs, 15_000, ms),
      ],
      ['daemon CPU for that', ms(ended.cpuMs), '', ''],
      ['slowest healthz meanwhile', ms(ended.slowestMs), '', ''],
      ['memory (RSS) after it', mb(daemon.rssMb()), '', ''],
    ],
  )
  console.log(`\naudit log verified: ${verdict.entries} entries`)
})

async function page(daemon, more = '') {
  const began = performance.now()
  const { leases } = await daemon.call('GET', `/v1/leases?state=live&limit=200${more}`)
  if (leases.length !== 200) throw new Error(`a page of ${leases.length} leases`)
  return performance.now() - began
}

/** What a person waits for who types `broker tokens | head`. */
async function firstLine(bench, home) {
  const began = performance.now()
  const child = spawn(process.execPath, [BIN, 'tokens'], {
    env: environment(home),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  bench.children.add(child)
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('exit', (status) => reject(new Error(`broker tokens ended with ${status}`)))
  })
  const took = performance.now() - began
  child.removeAllListeners('exit')
  child.kill('SIGKILL')
  bench.children.delete(child)
  return took
}

/** Moves the deadlines of these leases into one second soon to come, and waits for their end. */
async function expireAll(daemon, home, ids) {
  const db = new DatabaseSync(join(home, 'state', 'broker.sqlite'))
  db.exec('pragma busy_timeout = 5000; begin immediate')
  const from = Date.now() + 3000
  const move = db.prepare('update leases set expires_at = ?, due_at = ? where id = ?')
  const moveGrant = db.prepare('update grants set expires_at = ? where lease = ?')
  for (const [index, id] of ids.entries()) {
    const at = from + Math.floor((index * 1000) / ids.length)
    move.run(at, at, id)
    moveGrant.run(at, id)
  }
  db.exec('commit')
  const open = db.prepare('select live from live_counts where scope = ?')
  const left = total - ids.length
  await until('the first one expires', () => Date.now() >= from)
  const cpu = daemon.cpuMs()
  let slowestMs = 0
  await until(
    'all are revoked',
    async () => {
      const asked = performance.now()
      await daemon.call('GET', '/healthz')
      slowestMs = Math.max(slowestMs, performance.now() - asked)
      return open.get('template:default').live <= left
    },
    120_000,
  )
  const tookMs = Date.now() - from
  const states = db
    .prepare(
      'select count(*) as n from leases where id between ? and ? and state = ? and end_reason = ?',
    )
    .get([...ids].sort()[0], [...ids].sort().at(-1), 'revoked', 'ttl')
  db.close()
  if (states.n !== ids.length) throw new Error(`${states.n} of ${ids.length} were revoked`)
  return { tookMs, cpuMs: daemon.cpuMs() - cpu, slowestMs }
}
