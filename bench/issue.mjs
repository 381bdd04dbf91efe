// Issue + acknowledge + revoke of `jwt` leases over the HTTP API, every commit durable, against the same
// number of bare durable SQLite transactions one at a time (4 a lease) in the same run.
//   node bench/issue.mjs [leases] [concurrency]
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { median, run, startDaemon, table } from './daemon.mjs'

const total = Number(process.argv[2] ?? 4000)
const concurrency = Number(process.argv[3] ?? 16)

await run({ limitSeconds: 300 }, async (bench) => {
  const daemon = await startDaemon(bench)

  async function one() {
    const { lease } = await daemon.call('POST', '/v1/leases', { environment: 'staging' })
    await daemon.call('POST', `/v1/leases/${lease.id}/ack`)
    await daemon.call('DELETE', `/v1/leases/${lease.id}`)
  }

  async function many(count) {
    let left = count
    const began = performance.now()
    const cpu = daemon.cpuMs()
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        while (left-- > 0) await one()
      }),
    )
    return {
      perSecond: count / ((performance.now() - began) / 1000),
      cpuMs: (daemon.cpuMs() - cpu) / count,
    }
  }

  await many(Math.min(1000, total)) // warm
  const rounds = []
  for (let n = 0; n < 5; n++) {
    rounds.push({ ...(await many(total)), bare: bareTransactions(daemon.home, 1) })
  }
  const ours = median(rounds.map((round) => round.perSecond))
  const bare = median(rounds.map((round) => round.bare))
  table(
    ['issue + ack + revoke of a jwt lease over the API', 'leases/s'],
    [
      [`broker, ${concurrency} at once, every commit durable (median of 5 × ${total})`, ours],
      ['broker, the best of the 5', Math.max(...rounds.map((round) => round.perSecond))],
      ['bare SQLite, 4 durable transactions a lease, one at a time', bare],
      ['ratio', (ours / bare).toFixed(2)],
      ["daemon's CPU a lease", `${median(rounds.map((round) => round.cpuMs)).toFixed(2)} ms`],
      ['bound: at least 1000', ours >= 1000 ? 'met' : 'missed'],
    ],
  )
})

function bareTransactions(home, seconds) {
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
