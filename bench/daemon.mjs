// What the benches share: a daemon of the built release in a home of its own, a way to call it, and
// an end that comes in any case: on success, failure, Ctrl-C and after a hard limit of time.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DAEMON_FLAGS } from '../src/client/daemon-flags.ts'

export const ROOT = join(import.meta.dirname, '..')
export const BIN = join(ROOT, 'bin', 'run.js')

/** Runs `work` with a temp folder and a list of things to undo, last first; then ends the process. */
export async function run({ limitSeconds }, work) {
  if (Number(process.versions.node.split('.')[0]) < 24) refuse('run this with Node 24 or newer')
  if (!existsSync(join(ROOT, 'dist/daemon/main.js'))) refuse('build first: node scripts/build.mjs')
  const folder = mkdtempSync(join(tmpdir(), 'broker-bench-'))
  const children = new Set()
  const undo = []
  // The last resort, for what the undoing left.
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  let ending = false
  const end = async (status, error) => {
    if (error !== undefined) console.error(error)
    if (ending) return
    ending = true
    setTimeout(() => process.exit(1), 10_000) // nothing to be undone may hold us up
    while (undo.length > 0) await Promise.resolve(undo.pop()()).catch(() => {})
    process.exit(status)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => end(1, signal))
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error) => end(1, error))
  }
  setTimeout(() => end(1, `gave up after ${limitSeconds} s`), limitSeconds * 1000).unref()
  console.log(`load average at the start: ${load()}\n`)
  try {
    await work({ folder, children, onEnd: (act) => undo.push(act) })
  } catch (error) {
    await end(1, error)
  }
  console.log(`\nload average at the end: ${load()}`)
  await end(0)
}

function refuse(why) {
  console.error(why)
  process.exit(1)
}

export function load() {
  return loadavg()
    .map((one) => one.toFixed(1))
    .join(' ')
}

/** Waits for a condition, not for a time. */
export async function until(what, condition, limitMs = 60_000) {
  for (const end = performance.now() + limitMs; ; ) {
    const value = await condition()
    if (value) return value
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function environment(home) {
  const env = { PATH: process.env.PATH, HOME: home, BROKER_HOME: home, BROKER_VAULT: 'file' }
  return { ...env, LANG: 'C.UTF-8' }
}

/** Starts a daemon and resolves when it answers; `readyMs` is how long that took. */
export async function startDaemon(bench, { home = join(bench.folder, 'home') } = {}) {
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const began = performance.now()
  const more = process.env.BENCH_NODE_FLAGS?.split(' ') ?? [] // e.g. --cpu-prof
  const flags = [...DAEMON_FLAGS, ...more]
  const child = spawn(process.execPath, [...flags, join(ROOT, 'dist/daemon/main.js')], {
    env: environment(home),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  bench.children.add(child)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  ended.then(() => bench.children.delete(child))
  let log = ''
  child.stderr.on('data', (chunk) => {
    log += chunk
  })
  child.stdin.end('{}\n')
  const socketPath = join(home, 'run', 'broker.sock')
  const keyPath = join(home, 'config', 'operator.key')
  await until('the daemon answers', async () => {
    if (child.exitCode !== null) throw new Error(`the daemon ended at its start: ${log}`)
    return (
      existsSync(socketPath) && (await call(socketPath, null, 'GET', '/healthz').catch(() => null))
    )
  })
  const readyMs = performance.now() - began
  const key = readFileSync(keyPath, 'utf8').trim()
  const daemon = {
    home,
    socketPath,
    key,
    readyMs,
    pid: child.pid,
    call: (method, path, body) => call(socketPath, key, method, path, body),
    cpuMs: () => cpuMs(child.pid),
    rssMb: () => rssMb(child.pid),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
  bench.onEnd(() => daemon.stop())
  return daemon
}

export function call(socketPath, key, method, path, body) {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const headers = key === null ? {} : { authorization: `Bearer ${key}` }
    if (text !== undefined) {
      headers['content-type'] = 'application/json'
      headers['content-length'] = Buffer.byteLength(text)
    }
    const asking = request({ socketPath, method, path, headers }, (answer) => {
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

/** CPU time of a process so far, user and system, in milliseconds; NaN where there is no /proc. */
export function cpuMs(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}

function rssMb(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}

export function median(values) {
  return quantile(values, 0.5)
}

/** By nearest rank: the smallest value that is not below `q` of them. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]
}

/** Prints a Markdown table; numbers are rounded. */
export function table(head, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? Math.round(cell) : cell)).join(' | ')} |`
  console.log([line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n'))
}
