// One job of three steps, as a GitHub runner does it: the action's main entry point, a command, and the
// action's post entry point, which runs whatever happened before. For trying the action at home.
//
//   node examples/ci/runner.mjs [--with INPUT=VALUE]... -- COMMAND [ARG...]
//
// Standard output is the job's log: what a step asks to be masked is ***. The exit code is that of the
// first step that failed.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'

const ACTION = join(import.meta.dirname, '../../action')
const { values, positionals: command } = parseArgs({
  options: { with: { type: 'string', multiple: true, default: [] } },
  allowPositionals: true,
})
if (command.length === 0) fail('a command is missing: runner.mjs --with environment=ci -- COMMAND')

const { runs, inputs = {} } = parse(readFileSync(join(ACTION, 'action.yml'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'runner-'))
const masks = new Set()
/** What earlier steps gave to the later ones. */
const exported = {}
let state = {}
/** The step that runs now: a cancelled job's gets the signal, and the post step still has its turn. */
let running
let cancelled = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    cancelled = true
    running?.kill(signal)
  })
}

let failed = await step('main', process.execPath, [join(ACTION, runs.main)], inputVariables())
if (failed === 0 && !cancelled) failed = await step('command', command[0], command.slice(1), {})
const post = await step('post', process.execPath, [join(ACTION, runs.post)], {
  ...inputVariables(),
  ...Object.fromEntries(Object.entries(state).map(([name, value]) => [`STATE_${name}`, value])),
})
rmSync(folder, { recursive: true, force: true })
process.exitCode = failed || post || (cancelled ? 130 : 0)

/** Runs one step to its end, takes up what it wrote into its files, and tells its exit code. */
async function step(name, program, args, more) {
  const files = Object.fromEntries(
    ['ENV', 'OUTPUT', 'STATE', 'PATH', 'STEP_SUMMARY'].map((kind) => [
      `GITHUB_${kind}`,
      join(folder, `${name}-${kind.toLowerCase()}`),
    ]),
  )
  for (const file of Object.values(files)) writeFileSync(file, '', { mode: 0o600 })
  log(`##[group]${name}`)
  const child = spawn(program, args, {
    env: {
      ...process.env,
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      GITHUB_REPOSITORY: 'octo-org/hello',
      RUNNER_TEMP: folder,
      ...exported,
      ...files,
      ...more,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running = child
  const reading = [child.stdout, child.stderr].map(readLines)
  const code = await new Promise((resolve) => {
    child.once('error', ({ code: why }) => {
      log(`##[error]${program}: ${why}`)
      resolve(127)
    })
    child.once('close', (status, signal) => resolve(status ?? 128 + constants.signals[signal]))
  })
  await Promise.all(reading)
  running = undefined
  Object.assign(exported, readPairs(files.GITHUB_ENV))
  state = { ...state, ...readPairs(files.GITHUB_STATE) }
  log('##[endgroup]')
  return code
}

async function readLines(stream) {
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    const mask = /^::add-mask::(.*)$/.exec(line)?.[1]
    if (mask === undefined) log(line)
    else if (mask !== '') masks.add(unescaped(mask))
  }
}

/** How a workflow command writes line breaks and percent signs. */
function unescaped(text) {
  return text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%')
}

/** `NAME=VALUE`, or `NAME<<MARK`, lines, `MARK`. */
function readPairs(file) {
  const pairs = {}
  const lines = readFileSync(file, 'utf8').split(/\r?\n/)
  while (lines.length > 0) {
    const line = lines.shift()
    const [, name, mark] = /^([^=]+?)<<(.+)$/.exec(line) ?? []
    if (mark !== undefined)
      pairs[name] = lines
        .splice(0, lines.indexOf(mark) + 1)
        .slice(0, -1)
        .join('\n')
    else if (line.includes('='))
      pairs[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1)
  }
  return pairs
}

function inputVariables() {
  const given = values.with.map((pair) => [
    pair.split('=', 1)[0],
    pair.slice(pair.indexOf('=') + 1),
  ])
  const defaults = Object.entries(inputs).map(([name, input]) => [
    name,
    String(input.default ?? ''),
  ])
  return Object.fromEntries(
    [...defaults, ...given].map(([name, value]) => [
      `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`,
      value,
    ]),
  )
}

function log(line) {
  let shown = line
  for (const mask of [...masks].sort((a, b) => b.length - a.length))
    shown = shown.replaceAll(mask, '***')
  process.stdout.write(`${shown}\n`)
}

function fail(message) {
  process.stderr.write(`runner: ${message}\n`)
  process.exit(2)
}
