// How much does `broker exec` cost? Prints a Markdown table: warm and cold, at each level of isolation,
// against bare Node and against two tools that also run a command with secrets of its own; and what
// `confine` adds to `scrub`.
//
//   node scripts/build.mjs && node bench/exec.mjs [--rounds 30] [--no-peers]
//
// All candidates take turns in one run, so that a busy moment hits each of them alike. The peers are
// installed into a temp folder at exactly these versions; they are no dependencies of the project.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const PEERS = { '@dotenvx/dotenvx': '2.38.2', varlock: '1.20.0' }
const ROOT = join(import.meta.dirname, '..')
const BIN = join(ROOT, 'bin', 'run.js')

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '30' }, 'no-peers': { type: 'boolean' } },
})
const rounds = Math.max(3, Number(values.rounds) || 30)
const coldRounds = Math.max(3, Math.ceil(rounds / 5))

if (!existsSync(join(ROOT, 'dist', 'exec.cjs'))) {
  console.error('build first: node scripts/build.mjs')
  process.exit(1)
}
// The project's own Node, if it is installed: the one the product is measured with.
const ownNode = join(ROOT, 'node_modules', 'node', 'bin', 'node')
const node = existsSync(ownNode) ? ownNode : process.execPath

const folder = mkdtempSync(join(tmpdir(), 'broker-bench-'))
const env = {
  PATH: process.env.PATH,
  HOME: folder,
  BROKER_HOME: join(folder, 'home'),
  BROKER_VAULT: 'file',
}

const execAt = (level) => [
  BIN,
  ...['exec', '--quiet', '--env', 'staging', '--isolation', level, '--', 'true'],
]
const exec = execAt('scrub')
const project = makeProject()
/** The most that `confine` may add, in milliseconds. */
const BOUND = 60
const candidates = [
  { name: '`node -e 0`', args: ['-e', '0'] },
  { name: '`broker exec`, warm', args: exec, cwd: project },
  ...wallsHere().map((level) => ({
    name: `\`broker exec --isolation ${level}\``,
    args: execAt(level),
    cwd: project,
  })),
]
const cold = { name: '`broker exec`, cold', args: exec, cwd: project, before: stopDaemon }

/** Of the size of a small service: what is looked through for secrets and held read-only. */
function makeProject() {
  const place = join(folder, 'project')
  mkdirSync(place)
  execFileSync('git', ['init', '-q', place], { env })
  writeFileSync(join(place, '.env'), 'KEY=value\n')
  for (let at = 0; at < 300; at++) {
    const into = join(place, 'src', `part-${at % 20}`)
    mkdirSync(into, { recursive: true })
    writeFileSync(join(into, `file-${at}.ts`), 'export {}\n')
  }
  return place
}

/** The levels that this machine has. */
function wallsHere() {
  const tried = spawnSync('bwrap', ['--ro-bind', '/', '/', '--unshare-net', 'true'])
  if (tried.status === 0) return ['mask', 'confine']
  console.error('no bubblewrap: only scrub is measured')
  return []
}

/** Milliseconds of wall time from spawn to exit. A candidate that fails makes the run worthless. */
function measure({ name, args, cwd, before }) {
  before?.()
  const began = performance.now()
  const result = spawnSync(node, args, { env, cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  const took = performance.now() - began
  if (result.status !== 0) throw new Error(`${name} failed: ${result.stderr}`)
  return took
}

/** Stops the daemon and waits until its process is gone: what it still does would be counted. */
function stopDaemon() {
  const pidFile = join(env.BROKER_HOME, 'run', 'daemon.pid')
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0
  spawnSync(node, [BIN, 'daemon', 'stop'], { env, stdio: 'ignore' })
  while (pid > 0 && isRunning(pid)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function installPeers() {
  const place = join(folder, 'peers')
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true, dependencies: PEERS }))
  writeFileSync(join(place, '.env'), 'GREETING=hello\n')
  writeFileSync(join(place, '.env.schema'), '# @defaultSensitive=false\n# ---\nGREETING=hello\n')
  execFileSync(
    'npm',
    ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: place,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  return [
    {
      name: '`dotenvx run -- true`',
      cwd: place,
      args: [binOf(place, '@dotenvx/dotenvx', 'dotenvx'), 'run', '--quiet', '--', 'true'],
    },
    {
      name: '`varlock run -- true`',
      cwd: place,
      args: [binOf(place, 'varlock', 'varlock'), 'run', '--', 'true'],
    },
  ]
}

function binOf(place, name, command) {
  const base = join(place, 'node_modules', name)
  const { bin, version } = JSON.parse(readFileSync(join(base, 'package.json'), 'utf8'))
  if (version !== PEERS[name]) throw new Error(`${name} is ${version}, not ${PEERS[name]}`)
  return join(base, typeof bin === 'string' ? bin : bin[command])
}

function median(times) {
  const sorted = times.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

try {
  if (!values['no-peers']) candidates.push(...installPeers())
  const times = new Map()
  const record = (candidate) => {
    times.set(candidate.name, [...(times.get(candidate.name) ?? []), measure(candidate)])
  }
  for (const candidate of candidates) measure(candidate) // starts the daemon, fills the disk cache
  for (let round = 0; round < rounds; round++) for (const candidate of candidates) record(candidate)
  for (let round = 0; round < coldRounds; round++) record(cold)

  const bare = median(times.get(candidates[0].name))
  const warm = median(times.get(candidates[1].name))
  console.log(
    `Node ${execFileSync(node, ['--version']).toString().trim()}, ${cpus().length} CPUs, medians\n`,
  )
  console.log('| | median | fastest | runs | × bare Node | × warm exec |')
  console.log('|---|---:|---:|---:|---:|---:|')
  for (const [name, all] of times) {
    const middle = median(all)
    const cells = [`${middle.toFixed(1)} ms`, `${Math.min(...all).toFixed(1)} ms`, all.length]
    console.log(
      `| ${name} | ${cells.join(' | ')} | ${(middle / bare).toFixed(2)} | ${(middle / warm).toFixed(2)} |`,
    )
  }
  const confined = times.get('`broker exec --isolation confine`')
  if (confined) {
    const scrubbed = times.get(candidates[1].name)
    const added = (of) => (of(confined) - of(scrubbed)).toFixed(1)
    const least = added((all) => Math.min(...all))
    console.log(
      `\nconfine adds ${added(median)} ms to scrub (the fastest of each: ${least} ms); the bound is ${BOUND} ms`,
    )
  }
} finally {
  stopDaemon()
  rmSync(folder, { recursive: true, force: true })
}
