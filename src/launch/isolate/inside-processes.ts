import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type Child, FROM_TERMINAL } from '../child.ts'
import { isForeground } from '../foreground.ts'

export interface InsidePids {
  readonly ours: number | undefined
  readonly command: number | undefined
}

/** bwrap → its first process inside → our Node → the command: each has the next as its only child so far. */
export function insidePids(outer: number): InsidePids {
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
export function killTree(pid: number | undefined): void {
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
export function signalling(
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
