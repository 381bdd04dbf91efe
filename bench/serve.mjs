// Exchanges of identity tokens (RS256) for `jwt` credentials at `broker serve`, over TLS with keep-alive,
// each lease durable, beside a bare server that verifies the same tokens and commits as often. Then at half
// of the most it can do, as requests come; then with the issuer gone.
//   node bench/serve.mjs [exchanges a round] [rounds]
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { median, quantile, run, table } from './daemon.mjs'
import { startClient } from './serve-load.mjs'
import { cli, exchanges, startBare, startIssuer, startServer } from './serve-world.mjs'

const count = Number(process.argv[2] ?? 2000)
const rounds = Number(process.argv[3] ?? 5)
const CONNECTIONS = 32
const LEAST_PER_SECOND = 800
const MOST_MS = 50

const ms = (value) => `${value.toFixed(2)} ms`
const most = (rounds) => median(rounds.map(({ perSecond }) => perSecond))
const p = (calm, q) => median(calm.map(({ times }) => quantile(times, q)))

await run({ limitSeconds: 420 }, async (bench) => {
  const issuer = await startIssuer(bench)
  const broker = await startServer(bench, issuer, await freePort())
  const bare = await startBare(bench, issuer, broker.url)
  const client = startClient(bench)
  let sent = 0

  /** One round at full speed. */
  async function full(target) {
    const bodies = await exchanges(issuer, broker.url, count)
    const cpu = target.cpuMs()
    const took = await client('throughput', target, bodies, { connections: CONNECTIONS })
    if (target === broker) sent += count
    return { perSecond: count / (took / 1000), cpuMs: (target.cpuMs() - cpu) / count }
  }

  /** One round at half of the most that it can do. */
  async function paced(target, rounds) {
    const perSecond = most(rounds) / 2
    const bodies = await exchanges(issuer, broker.url, count)
    const calm = await client('latencies', target, bodies, { connections: CONNECTIONS, perSecond })
    if (target === broker) sent += calm.times.length
    return calm
  }

  for (const target of [bare, broker, broker]) await full(target) // warm
  const fast = { bare: [], broker: [] }
  for (let round = 0; round < rounds; round++) {
    // In turns, so that what else the machine does comes to both.
    fast.bare.push(await full(bare))
    fast.broker.push(await full(broker))
  }
  const calm = { bare: [], broker: [] }
  for (let round = 0; round < rounds; round++) {
    calm.bare.push(await paced(bare, fast.bare))
    calm.broker.push(await paced(broker, fast.broker))
  }

  // The issuer goes. Its key is known; one that nobody has shown us yet cannot be had now.
  const asked = issuer.asked.length
  await issuer.close()
  const without = await paced(broker, fast.broker)
  const unknown = await exchanges(issuer, broker.url, 1, 'another')
  const refusal = await client('throughput', broker, unknown, { connections: 1 }).then(
    () => 'let in',
    (error) => /HTTP\/1\.1 (\d+)/.exec(error.message)?.[1] ?? error.message,
  )

  const row = (name, rounds, calm) => [
    name,
    most(rounds),
    ms(median(rounds.map((round) => round.cpuMs))),
    ms(p(calm, 0.5)),
    ms(p(calm, 0.99)),
  ]
  table(
    ['server', 'exchanges/s', 'CPU an exchange', 'p50 at half of that', 'p99'],
    [
      row('bare: TLS, RS256, 2 durable commits', fast.bare, calm.bare),
      row('broker serve', fast.broker, calm.broker),
      ['broker serve, its issuer gone', '', '', ms(p([without], 0.5)), ms(p([without], 0.99))],
    ],
  )
  console.log('')
  const perSecond = most(fast.broker)
  const late = p(calm.broker, 0.99)
  const bound = (what, figure, met, says) => [what, figure, says, met ? 'met' : 'MISSED']
  table(
    ['', 'measured', 'bound', ''],
    [
      bound('exchanges/s', perSecond, perSecond >= LEAST_PER_SECOND, `≥ ${LEAST_PER_SECOND}`),
      bound('p99 at half of that', ms(late), late <= MOST_MS, `≤ ${MOST_MS} ms`),
      bound('of a known key, refused with the issuer gone', without.failed, !without.failed, '0'),
      bound('of an unknown key meanwhile', refusal, refusal === '503', '503'),
    ],
  )
  if (issuer.asked.length !== asked || asked > 3) {
    throw new Error(`the issuer was asked ${issuer.asked.length} times`)
  }
  await broker.stop()
  const kept = leases(broker.home)
  const verdict = await cli(broker.env, ['audit', 'verify'])
  await cli(broker.env, ['daemon', 'stop'])
  console.log(
    `\n${sent} exchanges, ${kept} leases in the database; broker audit verify: ${verdict.trim()}`,
  )
  if (kept !== sent) throw new Error('not every exchange left one lease')
})

function leases(home) {
  const db = new DatabaseSync(join(home, 'state', 'broker.sqlite'), { readOnly: true })
  const { number } = db.prepare('select count(*) as number from leases').get()
  db.close()
  return number
}

async function freePort() {
  const probe = createServer()
  await new Promise((done) => probe.listen(0, '127.0.0.1', done))
  const { port } = probe.address()
  await new Promise((done) => probe.close(done))
  return port
}
