import type { Writable } from 'node:stream'
import { loadSpawn } from '../child.ts'
import { diagnose, type Unavailable } from './diagnosis.ts'
import type { IsolationPlan } from './plan.ts'
import { bubblewrapArguments, listOf } from './start.ts'

export type Probed = { readonly works: true } | ({ readonly works: false } & Unavailable)

/** A machine under load is slow; one that hangs must not hold up a task for ever. */
const LONGEST_MS = 10_000

/**
 * Builds the very inside of the plan once, for a program that does nothing, and says whether it stands. Costs
 * about as much as the walls of the task itself. Never throws; may be repeated. The plan's copies and
 * folders must exist.
 */
export async function probe(
  plan: IsolationPlan,
  bubblewrap: string | undefined,
  nothing = '/bin/sh',
): Promise<Probed> {
  if (bubblewrap === undefined) return { works: false, ...diagnose({ missing: true, said: '' }) }
  const args = [...bubblewrapArguments(plan), '--', nothing, '-c', ':']
  const child = loadSpawn()(bubblewrap, args, {
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  const end = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', (code) => resolve(code))
  })
  let said = ''
  child.stderr?.on('data', (part: Buffer) => {
    said = (said + part.toString('utf8')).slice(0, 4096)
  })
  for (const [fd, bytes] of [
    [3, listOf(plan.arguments)],
    [4, plan.filter ?? Buffer.alloc(0)],
  ] as const) {
    const pipe = child.stdio[fd] as Writable | null | undefined
    pipe?.on('error', () => {}) // it ended before it read
    pipe?.end(bytes)
  }
  const code = await end
  if (code === 0) return { works: true }
  return { works: false, ...diagnose({ missing: child.pid === undefined, said }) }
}
