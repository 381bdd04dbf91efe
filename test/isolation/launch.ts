// Runs one command at one level, as `exec` would: the tests start it under another user as well.
import { readFileSync } from 'node:fs'
import {
  type Child,
  type ChildOptions,
  exitStatus,
  FORWARDED,
  startChild,
} from '../../src/launch/child.ts'
import { hostFiles } from '../../src/launch/isolate/file-view.ts'
import {
  type IsolationFacts,
  type IsolationPlan,
  planIsolation,
} from '../../src/launch/isolate/plan.ts'
import { prepare } from '../../src/launch/isolate/prepare.ts'
import { probe } from '../../src/launch/isolate/probe.ts'
import { beginInside, startInside } from '../../src/launch/isolate/start.ts'
import { watchMasks } from '../../src/launch/isolate/watch.ts'
import { descendantsOf, isInside } from './processes.ts'

interface Order {
  readonly facts: Omit<IsolationFacts, 'level' | 'command'> & {
    readonly level: 'scrub' | 'mask' | 'confine'
    readonly bubblewrap?: string
  }
  readonly path: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly probe?: boolean
  readonly times?: boolean
  /** Lets no turn of the loop go by between the walls' plan and their standing. */
  readonly still?: boolean
}

const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Order
const { facts, path, args, env } = order
const began = performance.now()

const withUs = { ...env, LAUNCHER: String(process.pid) }

async function start() {
  if (facts.level === 'scrub') return startChild({ path, name: path, args, env: withUs })
  const plan = planIsolation({ ...facts, level: facts.level, command: path }, hostFiles)
  const planned = performance.now()
  prepare(plan)
  if (order.probe) {
    const probed = await probe(plan, facts.bubblewrap ?? 'bwrap')
    if (!probed.works) throw new Error(JSON.stringify(probed))
  }
  const prepared = performance.now()
  const command = { path, name: path, args, env: withUs }
  const child = order.still
    ? await startStill(plan, command)
    : await startInside({ ...command, plan, bubblewrap: 'bwrap' })
  watchMasks(plan.masked, () => child.kill('SIGKILL'), facts.workTree)
  if (order.times) {
    const started = performance.now()
    process.stderr.write(
      `${JSON.stringify({ plan: planned - began, prepare: prepared - planned, start: started - prepared })}\n`,
    )
  }
  return child
}

async function startStill(plan: IsolationPlan, command: ChildOptions): Promise<Child> {
  const opened = beginInside('bwrap', process.arch, { relays: plan.relays }).build(plan)
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (let turn = 0; !descendantsOf(process.pid).some(isInside); turn++) {
    if (turn === STILL_TURNS) throw new Error('nothing stands while we do not move')
    Atomics.wait(clock, 0, 0, 5)
  }
  return opened.run(command)
}

/** Ten seconds of 5 ms: a machine under load is slow. */
const STILL_TURNS = 2000

// Before anything runs: a signal that comes early is kept for the command.
let running: Child | undefined
const early: NodeJS.Signals[] = []
for (const signal of FORWARDED) {
  process.on(signal, () => (running ? running.forward(signal) : early.push(signal)))
}
running = await start()
for (const signal of early) running.forward(signal)
process.exit(exitStatus(await running.ended))
