// Runs one command at one level, as `exec` would: the tests start it under another user as well.
import { readFileSync } from 'node:fs'
import { exitStatus, FORWARDED, startChild } from '../../src/launch/child.ts'
import { hostFiles } from '../../src/launch/isolate/file-view.ts'
import { type IsolationFacts, planIsolation } from '../../src/launch/isolate/plan.ts'
import { prepare } from '../../src/launch/isolate/prepare.ts'
import { probe } from '../../src/launch/isolate/probe.ts'
import { startInside } from '../../src/launch/isolate/start.ts'
import { watchMasks } from '../../src/launch/isolate/watch.ts'

interface Order {
  readonly facts: Omit<IsolationFacts, 'level' | 'command'> & {
    readonly level: 'scrub' | 'mask' | 'confine'
  }
  readonly path: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly probe?: boolean
  readonly times?: boolean
}

const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Order
const { facts, path, args, env } = order
const began = performance.now()

async function start() {
  if (facts.level === 'scrub') return startChild({ path, name: path, args, env })
  const plan = planIsolation({ ...facts, level: facts.level, command: path }, hostFiles)
  const planned = performance.now()
  prepare(plan)
  if (order.probe) {
    const probed = await probe(plan, 'bwrap')
    if (!probed.works) throw new Error(JSON.stringify(probed))
  }
  const prepared = performance.now()
  const child = await startInside({ plan, bubblewrap: 'bwrap', path, name: path, args, env })
  watchMasks(plan.masked, () => child.kill('SIGKILL'), facts.workTree)
  if (order.times) {
    const started = performance.now()
    process.stderr.write(
      `${JSON.stringify({ plan: planned - began, prepare: prepared - planned, start: started - prepared })}\n`,
    )
  }
  return child
}

const child = await start()
for (const signal of FORWARDED) process.on(signal, () => child.forward(signal))
process.exit(exitStatus(await child.ended))
