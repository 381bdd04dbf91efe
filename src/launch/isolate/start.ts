import type { ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'
import { BrokerError } from '../../errors.ts'
import { type Child, type ChildEnd, loadSpawn } from '../child.ts'
import { closeInherited } from './inherited.ts'
import { insidePids, killTree, signalling } from './inside-processes.ts'
import { INSIDE, type InsideOrder, type InsideTerms, STARTED } from './inside-terms.ts'
import { IGNORED_BY_BUBBLEWRAP } from './isolated-signals.ts'
import { answersOf, endOf, tell } from './order-socket.ts'
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
 * V8 looks for primes for its hashes from a random number on, which takes 2 of the 20 ms until Node runs what it
 * is given; from this number on they are found at once. So hashes and `Math.random` of the program inside are
 * known to everyone: it keeps no table of what others name, and no secret.
 */
const QUICK_START = '--random-seed=32'

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
      QUICK_START,
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
    if (child.pid === undefined || said === undefined) throw await failed
    tell(child, order)
    const line = await said.first
    if (line !== STARTED) throw await notStarted(line, ended)
    const over = Promise.race([said.over, ended])
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

async function notStarted(line: string, ended: Promise<ChildEnd>): Promise<Error> {
  await ended
  if (/^E[A-Z0-9]+$/.test(line)) return Object.assign(new Error(line), { code: line })
  return new BrokerError('isolation_unavailable', 'the isolated task could not be started', {
    hint: 'look at the lines above, and at broker doctor',
    details: line === '' ? {} : { reason: line },
  })
}
