import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { isForeground } from './foreground.ts'

export interface ChildEnd {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ChildOptions {
  /** Absolute, from `resolveCommand`. */
  readonly path: string
  /** As the person typed it: some programs act by the name they are called. */
  readonly name: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface Child {
  readonly pid: number
  /** The command has ended and was the last of its task: what holds the task is coming down. */
  readonly over?: Promise<ChildEnd>
  /** Nothing of it is left. */
  readonly ended: Promise<ChildEnd>
  /** Delivers a signal that another process sent to us. */
  forward(signal: NodeJS.Signals): void
  kill(signal: NodeJS.Signals): void
}

/** What a person may send to us and mean for the command. SIGTSTP is apart: it stops us as well. */
export const FORWARDED: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGWINCH',
]

/** Those that a terminal sends to the whole foreground group, the child included. */
export const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGINT',
  'SIGQUIT',
  'SIGTSTP',
  'SIGCONT',
  'SIGWINCH',
])

/** Loaded when asked for and not at the start: there is a better moment than before the first request. */
export function loadSpawn(): typeof import('node:child_process').spawn {
  return process.getBuiltinModule('node:child_process').spawn
}

/**
 * Runs the command on our own standard streams and in our own process group, so that the terminal's
 * job control, interrupt key and window size work as if we were not there. Throws what `spawn`
 * throws; nothing runs then.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const child = loadSpawn()(options.path, options.args, {
    argv0: options.name,
    env: options.env,
    stdio: 'inherit',
  })
  // Listeners first: a child that ends at once must not end unseen.
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
  if (child.pid === undefined) {
    throw await new Promise<Error>((resolve) => child.once('error', resolve))
  }
  child.on('error', () => {}) // a failed kill: the child is gone already, and `exit` tells
  return { pid: child.pid, ended, forward: forwarder(child), kill: (signal) => child.kill(signal) }
}

/**
 * A signal typed at the terminal has reached the child already; a second one would tell many
 * programs to give up their clean-up. Nothing says who sent a signal, so the question is whether we
 * are in the terminal's foreground: there INT and QUIT count as typed.
 */
function forwarder(child: ChildProcess): (signal: NodeJS.Signals) => void {
  return (signal) => {
    if (FROM_TERMINAL.has(signal) && isForeground()) return
    child.kill(signal)
  }
}

/** The status a shell gives a command: its own code, or 128 + n for signal n. */
export function exitStatus(end: ChildEnd): number {
  if (end.exitCode !== null) return end.exitCode
  return end.signal === null ? 255 : 128 + constants.signals[end.signal]
}
