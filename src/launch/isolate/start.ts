import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Duplex, Writable } from 'node:stream'
import { BrokerError } from '../../errors.ts'
import { type Child, type ChildEnd, FROM_TERMINAL, loadSpawn } from '../child.ts'
import { isForeground } from '../foreground.ts'
import { closeInherited } from './inherited.ts'
import {
  INSIDE,
  type InsideOrder,
  type InsideTerms,
  ORDER_FD,
  OVER,
  STARTED,
} from './inside-terms.ts'
import { IGNORED_BY_BUBBLEWRAP } from './isolated-signals.ts'
import type { IsolationPlan } from './plan.ts'
import { systemCallFilter } from './syscalls.ts'

/** Walls that stand, and in them a program of ours that waits for its order. */
export interface Opened {
  /**
   * Runs the command inside. As `startChild`: our standard streams, our process group and terminal, and
   * `ended` with its status (128 + n for signal n). All its descendants end with it, and with us. Once
   * only. Throws `isolation_unavailable` if the inside could not be built, and an error with `code`
   * ENOENT, EACCES … if the command could not be started in it; nothing runs then. `variables` take the
   * place of the plan's.
   */
  run(order: InsideOrder, variables?: IsolationPlan['variables']): Promise<Child>
  /** Takes it all down again. Resolves when bubblewrap is gone: until then it may look for its files. */
  close(): Promise<unknown>
}

/** bubblewrap, waiting for its plan. */
export interface Begun extends Pick<Opened, 'close'> {
  /**
   * Begins to build the inside of the plan, which takes a while, and returns at once. Nothing of the task
   * runs before `run`. The plan's copies and folders must exist (`prepare`). Once only.
   */
  build(plan: IsolationPlan): Opened
}

/**
 * Starts bubblewrap, which takes a while as well: what it is to do may be found out meanwhile. `bubblewrap` is
 * absolute, `machine` as in the plan's facts.
 */
export function beginInside(bubblewrap: string, machine: string, terms: InsideTerms): Begun {
  closeInherited()
  const filter = systemCallFilter(machine)
  const child = loadSpawn()(
    '/bin/sh',
    [
      '-c',
      // bubblewrap's outer process has the default for every signal: Ctrl-C would end it, and the
      // command with it, whatever the command makes of Ctrl-C. What is ignored stays so beyond `exec`, until
      // our Node inside sets everything back.
      `trap '' ${IGNORED_BY_BUBBLEWRAP.join(' ')}; exec "$0" "$@"`,
      bubblewrap,
      ...bubblewrapArguments({ filter }),
      '--',
      `${INSIDE}/node`,
      `${INSIDE}/inside.cjs`,
      JSON.stringify(terms),
    ],
    // Nothing of the task's: whoever may look at a process may read its environment.
    { env: {}, stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe', 'pipe'] },
  )
  // Before any other hand at our exit removes what bubblewrap would look for: it would complain aloud.
  const end = () => {
    if (child.exitCode === null && child.signalCode === null) killTree(child.pid)
  }
  process.prependOnceListener('exit', end)
  const gone = new Promise<ChildEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      process.off('exit', end)
      resolve({ exitCode, signal })
    })
  })
  const failed = new Promise<Error>((resolve) => child.once('error', resolve))
  const said = child.pid === undefined ? undefined : answersOf(child)
  const ended = said === undefined ? gone : endOf(gone, said)
  const close = async () => {
    end()
    if (child.pid !== undefined) await ended
  }
  const run = async (order: InsideOrder): Promise<Child> => {
    if (child.pid === undefined) throw await failed
    tell(child, order)
    const line = (await said?.first) ?? ''
    if (line !== STARTED) throw await notStarted(line, ended)
    const over = Promise.race(said === undefined ? [ended] : [said.over, ended])
    return { pid: child.pid, over, ended, ...signalling(child, insidePids(child.pid)) }
  }
  return {
    build: ({ arguments: list, variables }) => {
      if (child.pid !== undefined) {
        feed(child, 4, filter ?? Buffer.alloc(0))
        feed(child, 3, listOf(list))
      }
      return {
        run: (order, changes = variables) => run({ ...order, env: changed(order.env, changes) }),
        close,
      }
    },
    close,
  }
}

export interface InsideOptions extends InsideOrder {
  readonly plan: IsolationPlan
  readonly bubblewrap: string
}

/** Both at once. */
export async function startInside({ plan, bubblewrap, ...order }: InsideOptions): Promise<Child> {
  const { path, name, args, env } = order
  const begun = beginInside(bubblewrap, process.arch, { relays: plan.relays })
  return begun.build(plan).run({ path, name, args, env })
}

/** The list itself goes through a pipe: everybody may read a command line. */
export function bubblewrapArguments({ filter }: Pick<IsolationPlan, 'filter'>): readonly string[] {
  return ['--args', '3', ...(filter ? ['--seccomp', '4'] : [])]
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

/**
 * bubblewrap begins when it has read to the end, and `end` brings that no sooner than the next turn: what we do
 * meanwhile would be waited for. So the pipe is closed at once, if the system has taken every byte. Else never:
 * a list that is cut short is walls with holes.
 */
function feed(child: ChildProcess, fd: number, bytes: Uint8Array): void {
  const pipe = child.stdio[fd] as Writable
  pipe.on('error', () => {}) // it ended before it read: the report says so
  pipe.write(bytes)
  if (pipe.writableLength === 0) pipe.destroy()
  else pipe.end()
}

function orderSocket(child: ChildProcess): Duplex {
  const pipes: readonly unknown[] = child.stdio
  return pipes[ORDER_FD] as Duplex
}

function tell(child: ChildProcess, order: InsideOrder): void {
  orderSocket(child).write(`${JSON.stringify(order)}\n`)
}

interface Answers {
  readonly first: Promise<string>
  /** Never, if it ends without a word. */
  readonly over: Promise<ChildEnd>
  /** There is nobody left to answer. */
  readonly closed: Promise<void>
}

/** The lines that come back. Listened for from the start: it may end before it is told anything. */
function answersOf(child: ChildProcess): Answers {
  const socket = orderSocket(child)
  const first = Promise.withResolvers<string>()
  const over = Promise.withResolvers<ChildEnd>()
  let text = ''
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1')
    const [answer = '', end, ...rest] = text.split('\n')
    if (end !== undefined) first.resolve(answer)
    const status = rest.length === 0 ? undefined : OVER.exec(end ?? '')?.[1]
    if (status !== undefined) over.resolve({ exitCode: Number(status), signal: null })
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  // As good as its end: it ended before it read, or was ended.
  const close = () => first.resolve(text.trimEnd())
  socket.on('error', close).once('close', close)
  return { first: first.promise, over: over.promise, closed }
}

/** That of all of it, with the status that was told; what was told last may be read after the end. */
async function endOf(gone: Promise<ChildEnd>, { over, closed }: Answers): Promise<ChildEnd> {
  const end = await gone
  await closed
  return Promise.race([over, end])
}

async function notStarted(line: string, ended: Promise<ChildEnd>): Promise<Error> {
  await ended
  if (/^E[A-Z0-9]+$/.test(line)) return Object.assign(new Error(line), { code: line })
  return new BrokerError('isolation_unavailable', 'the isolated task could not be started', {
    hint: 'look at the lines above, and at broker doctor',
    details: line === '' ? {} : { reason: line },
  })
}

interface InsidePids {
  readonly ours: number | undefined
  readonly command: number | undefined
}

/** bwrap → its first process inside → our Node → the command: each has the next as its only child so far. */
function insidePids(outer: number): InsidePids {
  const first = firstChild(outer)
  const ours = first && firstChild(first)
  return { ours, command: ours && firstChild(ours) }
}

/** Turns of waiting for a process to stand still: far more than it ever takes. */
const PATIENCE = 1000

/**
 * While bubblewrap goes up, what it has started does not yet end with it, and would wait for it for ever with
 * our streams open. So that goes first; and it is stopped before, so that there is not one more meanwhile.
 */
function killTree(pid: number | undefined): void {
  if (pid === undefined || !deliver(pid, 'SIGSTOP')) return
  for (let turn = 0; turn < PATIENCE && isRunning(pid); turn++);
  for (const child of children(pid)) killTree(child)
  deliver(pid, 'SIGKILL')
}

/** Neither stopped nor dead (proc_pid_stat(5)). */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [TtXZ] /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

function children(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function firstChild(pid: number): number | undefined {
  return children(pid)[0]
}

/**
 * To the command itself: bubblewrap passes nothing on. After its end to our own program, which passes
 * on what there is to pass it to. Killing is for the whole of the inside.
 */
function signalling(
  child: ChildProcess,
  { ours, command }: InsidePids,
): Pick<Child, 'forward' | 'kill'> {
  const kill = (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    if (signal === 'SIGKILL' || command === undefined) child.kill('SIGKILL')
    else if (!deliver(command, signal) && ours !== undefined) deliver(ours, signal)
  }
  const forward = (signal: NodeJS.Signals) => {
    if (FROM_TERMINAL.has(signal) && isForeground()) return
    if (command !== undefined) kill(signal)
  }
  return { forward, kill }
}

/** False if it is gone already. */
function deliver(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
