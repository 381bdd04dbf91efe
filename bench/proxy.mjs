// What the enforcing proxy costs: a daemon of the built release, its lease held by `broker exec`, each
// request judged and durably audited, beside a proxy that ends TLS, forwards and does nothing else, and
// beside proxies that people use. One upstream, one client, the same bytes for all of them.
//   BENCH_PEERS=1 node bench/proxy.mjs [rounds] [seconds]
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { classify } from '../src/providers/railway/guard/classify.ts'
import { cpuMs, median, quantile, run, table } from './daemon.mjs'
import { endBroker, SECRET, startBroker } from './proxy-broker.mjs'
import { BODY, HOST, PATH, variants } from './proxy-document.mjs'
import { latencies, throughput } from './proxy-load.mjs'
import { startMitmproxy, startNpmPeers, startRole } from './proxy-peers.mjs'

const rounds = Number(process.argv[2] ?? 5)
const seconds = Number(process.argv[3] ?? 2)
const FEW = 10
const MANY = 64
const RATE = 200
const WARM_SECONDS = 6
/** Far more than the broker remembers, of requests or of documents. */
const UNLIKE = 600

await run({ limitSeconds: 420 }, async (bench) => {
  const upstream = await startRole(bench, 'upstream')
  const broker = await startBroker(bench, upstream)
  const bare = await startRole(bench, 'bare', { port: upstream.port, ca: upstream.ca })
  const mitmproxy = await startMitmproxy(bench, upstream)
  const npm = await startNpmPeers(bench, upstream)
  const proxies = [bare, broker, ...(mitmproxy ? [mitmproxy] : []), ...npm].map((proxy) => ({
    authority: `localhost:${upstream.port}`,
    host: 'localhost',
    token: 'none',
    ...proxy,
    sent: 0,
    rounds: [],
  }))
  for (const proxy of proxies) {
    // What starts slowly is not what is measured: compilers warm, connections upstream open. The larger
    // a program, the longer its compiler is at work.
    proxy.sent += (await throughput(proxy, MANY, WARM_SECONDS)).done
    proxy.sent += (await latencies(proxy, FEW, RATE, RATE)).length
  }
  const disk = []
  for (let round = 0; round < rounds; round++) {
    disk.push(...commitsMs(bench.folder))
    // In turns, so that what else the machine does comes to all of them; never in the same order.
    const turned = [...proxies.slice(round % proxies.length), ...proxies]
    for (const proxy of turned.slice(0, proxies.length)) {
      proxy.rounds.push(await measureAgain(proxy, proxies.indexOf(proxy) > 1))
    }
  }
  const [ofBare, ofBroker] = proxies
  const unlike = await measureUnlike(ofBroker)
  const arrived = await counted(upstream)
  report(proxies)
  console.log(
    `\nThe broker when no request is like one of the ${UNLIKE - 1} before it, and nothing that it remembers helps: ` +
      `${unlike.few.toFixed(0)} requests/s with ${FEW} connections, ${unlike.many.toFixed(0)} with ${MANY}.`,
  )
  console.log('')
  reportBounds(ofBare, ofBroker, proxies.slice(2))
  const audited = await endBroker(broker, bench)
  console.log(
    `\n${ofBroker.sent} requests through the broker; in its audit log, which verifies: ${audited.allowed} decisions, ` +
      `${audited.ended} outcomes. A durable commit of bare SQLite meanwhile: p50 ${median(disk).toFixed(2)} ms, p99 ${quantile(disk, 0.99).toFixed(2)} ms.`,
  )
  if (audited.allowed !== ofBroker.sent || audited.ended !== ofBroker.sent) {
    throw new Error('the audit log does not have every request')
  }
  if (arrived[`Bearer ${SECRET}`] !== ofBroker.sent || arrived[ofBroker.token]) {
    throw new Error(
      'not every request arrived once, with the real credential in place of the other',
    )
  }
})

async function measure(proxy) {
  const cpu = cpuMs(proxy.pid)
  const few = await throughput(proxy, FEW, seconds)
  const cpuEach = (cpuMs(proxy.pid) - cpu) / few.done
  const many = await throughput(proxy, MANY, seconds)
  const times = await latencies(proxy, FEW, RATE, RATE * seconds)
  proxy.sent += few.done + many.done + times.length
  return { few: few.perSecond, many: many.perSecond, times, cpuEach }
}

/** A peer that fails is measured again, twice at most and aloud: mockttp now and then takes a client for itself. */
async function measureAgain(proxy, isPeer, tries = 3) {
  try {
    return await measure(proxy)
  } catch (error) {
    if (!isPeer || tries === 1) throw error
    console.error(`${proxy.name} failed (${error.message.slice(0, 60)}) and is measured again`)
    return measureAgain(proxy, isPeer, tries - 1)
  }
}

/** Like `measure`, with requests that all have to be parsed and judged anew. */
async function measureUnlike(proxy) {
  const bodies = variants(UNLIKE)
  const found = []
  for (let round = 0; round <= rounds; round++) {
    const few = await throughput(proxy, FEW, seconds, bodies)
    const many = await throughput(proxy, MANY, seconds, bodies)
    proxy.sent += few.done + many.done
    // The first is for the compiler: parsing is what the requests before hardly needed.
    if (round > 0) found.push({ few: few.perSecond, many: many.perSecond })
  }
  return { few: median(found.map(({ few }) => few)), many: median(found.map(({ many }) => many)) }
}

function each({ rounds }, pick) {
  return median(rounds.map(pick))
}

function latency(proxy, q) {
  return each(proxy, ({ times }) => quantile(times, q))
}

function report(proxies) {
  const ms = (value) => `${value.toFixed(2)} ms`
  table(
    [
      'proxy',
      `p50 at ${RATE}/s`,
      'p99',
      `requests/s, ${FEW} connections`,
      `${MANY} connections`,
      'CPU a request',
    ],
    proxies.map((proxy) => [
      proxy.name === 'broker' ? 'broker: judges, audits durably' : proxy.name,
      ms(latency(proxy, 0.5)),
      ms(latency(proxy, 0.99)),
      each(proxy, ({ few }) => few),
      each(proxy, ({ many }) => many),
      ms(each(proxy, ({ cpuEach }) => cpuEach)),
    ]),
  )
}

function reportBounds(bare, broker, peers) {
  const rows = []
  const bound = (what, figure, unit, met, says) =>
    rows.push([what, `${figure.toFixed(2)}${unit}`, says, met(figure) ? 'met' : 'MISSED'])
  bound(
    'added p50',
    latency(broker, 0.5) - latency(bare, 0.5),
    ' ms',
    (ms) => ms <= 0.8,
    '≤ 0.8 ms',
  )
  bound('added p99', latency(broker, 0.99) - latency(bare, 0.99), ' ms', (ms) => ms <= 3, '≤ 3 ms')
  const loads = {
    'at its most': ({ few, many }) => Math.max(few, many),
    [`${FEW} connections`]: ({ few }) => few,
    [`${MANY} connections`]: ({ many }) => many,
  }
  for (const [load, of] of Object.entries(loads)) {
    // Of each round, whose runs saw nearly the same machine.
    const over = (other) => median(broker.rounds.map((own, at) => of(own) / of(other.rounds[at])))
    bound(`throughput over bare, ${load}`, over(bare), ' ×', (x) => x >= 0.6, '≥ 0.6 ×')
    for (const peer of peers) {
      const least = peer.name.startsWith('mitmproxy') ? 3 : 1
      bound(`… over ${peer.name}`, over(peer), ' ×', (x) => x >= least, `≥ ${least} ×`)
    }
  }
  for (const [what, bodies] of [
    [`judging ${BODY.length} bytes`, [BODY]],
    ['… of a document that never came before', variants(UNLIKE)],
  ]) {
    bound(what, judgingMicros(bodies), ' µs', (us) => us <= 150, '≤ 150 µs')
  }
  table(['broker', 'figure', 'bound', ''], rows)
}

/**
 * Classified anew, in this process: what the gate remembers of whole requests is no part of it. Of `bodies` each
 * comes before the first comes again.
 */
function judgingMicros(bodies) {
  const headers = [['content-type', 'application/json']]
  const about = { method: 'POST', authority: HOST, path: PATH, query: null, headers }
  const requests = bodies.map((body) => ({ ...about, body: Buffer.from(body) }))
  const times = []
  for (let n = 0; n < 5000; n++) {
    const began = performance.now()
    const { outcome } = classify(requests[n % requests.length])
    times.push((performance.now() - began) * 1000)
    if (outcome !== 'classified') throw new Error('the document is refused')
  }
  return median(times.slice(2000))
}

function counted(upstream) {
  upstream.child.send('report')
  return new Promise((resolve) => upstream.child.once('message', resolve))
}

/** What the disk makes of single durable transactions. */
function commitsMs(folder) {
  const database = new DatabaseSync(join(folder, 'baseline.sqlite'))
  database.exec(
    'pragma journal_mode = wal; pragma synchronous = full; create table if not exists t (a text)',
  )
  const insert = database.prepare('insert into t values (?)')
  const times = []
  for (let n = 0; n < 100; n++) {
    const began = performance.now()
    insert.run('x'.repeat(1000))
    times.push(performance.now() - began)
  }
  database.close()
  return times
}
