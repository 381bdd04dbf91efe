import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { BrokerError } from '../../errors.ts'
import { type Child, type ChildEnd, loadSpawn } from '../child.ts'
import { isForeground } from '../foreground.ts'
import { closeInherited } from './inherited.ts'
import { HELD_BACK, type InsideTerms, REPORT_FD, STARTED } from './inside-terms.ts'
import { FROM_TERMINAL, IGNORED_BY_BUBBLEWRAP } from './isolated-signals.ts'
import { INSIDE, type IsolationPlan } from './plan.ts'

export interface InsideOptions {
  readonly plan: IsolationPlan
  /** Absolute. */
  readonly bubblewrap: string
  /** As for `startChild`. */
  readonly path: string
  readonly name: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/**
 * Runs the command inside. As `startChild`: our standard streams, our process group and terminal, and
 * `ended` with its status (128 + n for signal n). All its descendants end with it, and with us. The
 * plan's copies and folders must exist (`prepare`). Throws `isolation_unavailable` if the inside
 * could not be built, and an error with `code` ENOENT, EACCES … if the command could not be started
 * in it; nothing runs then.
 */
export async function startInside(options: InsideOptions): Promise<Child> {
  const { plan } = options
  const terms = termsOf(options)
  closeInherited()
  const child = loadSpawn()(
    '/bin/sh',
    [
      '-c',
      // bubblewrap's outer process has the default for every signal: Ctrl-C would end it, and the
      // command with it, whatever the command makes of Ctrl-C. What is ignored stays so beyond `exec`, until
      // our Node inside sets everything back.
      `trap '' ${IGNORED_BY_BUBBLEWRAP.join(' ')}; exec "$0" "$@"`,
      options.bubblewrap,
      ...bubblewrapArguments(plan),
      '--',
      `${INSIDE}/node`,
      `${INSIDE}/inside.cjs`,
      JSON.stringify(terms),
      ...options.args,
    ],
    {
      env: environmentFor(options, terms),
      stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe', 'pipe'],
    },
  )
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
  const failed = new Promise<Error>((resolve) => child.once('error', resolve))
  if (child.pid === undefined) throw await failed
  feed(child, 3, listOf(plan.arguments))
  feed(child, 4, plan.filter ?? Buffer.alloc(0))
  const line = await reportOf(child)
  if (line !== STARTED) throw await notStarted(line, ended)
  return { pid: child.pid, ended, ...signalling(child, commandPid(child.pid)) }
}

function termsOf({ plan, path, name, env }: InsideOptions): InsideTerms {
  const variables = Object.fromEntries(
    HELD_BACK.flatMap((held) => {
      const value = env[held]
      return value === undefined ? [] : [[held, value]]
    }),
  )
  return { relays: plan.relays, variables, command: { path, name } }
}

/** The list itself goes through a pipe: everybody may read a command line. */
export function bubblewrapArguments(plan: IsolationPlan): readonly string[] {
  return ['--args', '3', ...(plan.filter ? ['--seccomp', '4'] : [])]
}

export function listOf(args: readonly string[]): Buffer {
  return Buffer.from(args.map((argument) => `${argument}\0`).join(''))
}

function environmentFor({ plan, env }: InsideOptions, terms: InsideTerms): Record<string, string> {
  const result: Record<string, string> = { ...env }
  for (const [name, value] of Object.entries(plan.variables)) {
    if (value === undefined) delete result[name]
    else result[name] = value
  }
  for (const name of Object.keys(terms.variables)) delete result[name]
  return result
}

function feed(child: ChildProcess, fd: number, bytes: Uint8Array): void {
  const pipe = child.stdio[fd] as Writable
  pipe.on('error', () => {}) // it ended before it read: the report says so
  pipe.end(bytes)
}

async function reportOf(child: ChildProcess): Promise<string> {
  const pipes: readonly unknown[] = child.stdio
  const pipe = pipes[REPORT_FD] as AsyncIterable<Buffer>
  let text = ''
  try {
    for await (const part of pipe) text += part.toString('latin1')
  } catch {
    // As good as its end.
  }
  return text.trimEnd()
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
