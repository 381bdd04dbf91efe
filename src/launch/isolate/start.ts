import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Duplex, Writable } from 'node:stream'
import { BrokerError } from '../../errors.ts'
import { type Child, type ChildEnd, loadSpawn } from '../child.ts'
import { isForeground } from '../foreground.ts'
import { closeInherited } from './inherited.ts'
import { INSIDE, type InsideOrder, type InsideTerms, ORDER_FD, STARTED } from './inside-terms.ts'
import { FROM_TERMINAL, IGNORED_BY_BUBBLEWRAP } from './isolated-signals.ts'
import type { IsolationPlan } from './plan.ts'

/** Walls that stand, and in them a program of ours that waits for its order. */
export interface Opened {
  /**
   * Runs the command inside. As `startChild`: our standard streams, our process group and terminal, and
   * `ended` with its status (128 + n for signal n). All its descendants end with it, and with us. Once
   * only. Throws `isolation_unavailable` if the inside could not be built, and an error with `code`
   * ENOENT, EACCES … if the command could not be started in it; nothing runs then.
   */
  run(order: InsideOrder): Promise<Child>
  /** Takes it all down again. */
  close(): void
}

/**
 * Begins to build the inside of the plan, which takes a while, and returns at once. Nothing of the
 * task runs before `run`. The plan's copies and folders must exist (`prepare`). `bubblewrap` is absolute.
 */
export function openInside(plan: IsolationPlan, bubblewrap: string): Opened {
  closeInherited()
  const terms: InsideTerms = { relays: plan.relays }
  const child = loadSpawn()(
    '/bin/sh',
    [
      '-c',
      // bubblewrap's outer process has the default for every signal: Ctrl-C would end it, and the
      // command with it, whatever the command makes of Ctrl-C. What is ignored stays so beyond `exec`, until
      // our Node inside sets everything back.
      `trap '' ${IGNORED_BY_BUBBLEWRAP.join(' ')}; exec "$0" "$@"`,
      bubblewrap,
      ...bubblewrapArguments(plan),
      '--',
      `${INSIDE}/node`,
      `${INSIDE}/inside.cjs`,
      JSON.stringify(terms),
    ],
    // Nothing of the task's: whoever may look at a process may read its environment.
    { env: {}, stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe', 'pipe'] },
  )
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
  const failed = new Promise<Error>((resolve) => child.once('error', resolve))
  const answer = child.pid === undefined ? Promise.resolve('') : answerOf(child)
  if (child.pid !== undefined) {
    feed(child, 3, listOf(plan.arguments))
    feed(child, 4, plan.filter ?? Buffer.alloc(0))
  }
  return {
    run: async (order) => {
      if (child.pid === undefined) throw await failed
      tell(child, { ...order, env: changed(order.env, plan.variables) })
      const line = await answer
      if (line !== STARTED) throw await notStarted(line, ended)
      return { pid: child.pid, ended, ...signalling(child, commandPid(child.pid)) }
    },
    close: () => child.kill('SIGKILL'),
  }
}

export interface InsideOptions extends InsideOrder {
  readonly plan: IsolationPlan
  readonly bubblewrap: string
}

/** Both at once. */
export async function startInside({ plan, bubblewrap, ...order }: InsideOptions): Promise<Child> {
  const { path, name, args, env } = order
  return openInside(plan, bubblewrap).run({ path, name, args, env })
}

/** The list itself goes through a pipe: everybody may read a command line. */
export function bubblewrapArguments(plan: IsolationPlan): readonly string[] {
  return ['--args', '3', ...(plan.filter ? ['--seccomp', '4'] : [])]
}

export function listOf(args: readonly string[]): Buffer {
  return Buffer.from(args.map((argument) => `${argument}\0`).join(''))
}

function changed(
  env: Readonly<Record<string, string>>,
  changes: IsolationPlan['variables'],
): Record<string, string> {
  const result: Record<string, string> = { ...env }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete result[name]
    else result[name] = value
  }
  return result
}

function feed(child: ChildProcess, fd: number, bytes: Uint8Array): void {
  const pipe = child.stdio[fd] as Writable
  pipe.on('error', () => {}) // it ended before it read: the report says so
  pipe.end(bytes)
}

function orderSocket(child: ChildProcess): Duplex {
  const pipes: readonly unknown[] = child.stdio
  return pipes[ORDER_FD] as Duplex
}

function tell(child: ChildProcess, order: InsideOrder): void {
  orderSocket(child).write(`${JSON.stringify(order)}\n`)
}

/** The line that comes back. Listened for from the start: it may end before it is told anything. */
function answerOf(child: ChildProcess): Promise<string> {
  const socket = orderSocket(child)
  let text = ''
  return new Promise((resolve) => {
    const end = () => resolve(text.trimEnd())
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1')
      if (text.endsWith('\n')) end()
    })
    // As good as its end: it ended before it read, or was ended.
    socket.on('error', end).once('close', end)
  })
}

async function notStarted(line: string, ended: Promise<ChildEnd>): Promise<Error> {
  await ended
  if (/^E[A-Z0-9]+$/.test(line)) return Object.assign(new Error(line), { code: line })
  return new BrokerError('isolation_unavailable', 'the isolated task could not be started', {
    hint: 'look at the lines above, and at broker doctor',
    details: line === '' ? {} : { reason: line },
  })
}

/** bwrap → its first process inside → our Node → the command: each has the next as its only child so far. */
function commandPid(outer: number): number | undefined {
  let pid: number | undefined = outer
  for (let step = 0; step < 3 && pid !== undefined; step++) pid = firstChild(pid)
  return pid
}

function firstChild(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    return Number(text.split(' ')[0]) || undefined
  } catch {
    return undefined
  }
}

/** To the command itself: bubblewrap passes nothing on. Killing is for the whole of the inside. */
function signalling(
  child: ChildProcess,
  command: number | undefined,
): Pick<Child, 'forward' | 'kill'> {
  const kill = (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    if (signal === 'SIGKILL' || command === undefined) child.kill('SIGKILL')
    else deliver(command, signal)
  }
  const forward = (signal: NodeJS.Signals) => {
    if (FROM_TERMINAL.has(signal) && isForeground()) return
    if (command !== undefined) kill(signal)
  }
  return { forward, kill }
}

function deliver(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already, and `ended` tells.
  }
}
