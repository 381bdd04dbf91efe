import { openSync } from 'node:fs'
import type { ApprovalView } from '../api/types.ts'
import { visible } from '../cli/terminal.ts'
import { say } from './say.ts'
import { drawLine, isTerminal } from './waiting.ts'

const SECOND_MS = 1000
const USUAL_COLUMNS = 80

/**
 * Says that a person has to decide, and how. On a terminal the time counts down on one line, which the
 * returned function erases; elsewhere, and with `--quiet`, it is said once: ten minutes without a word
 * would look like a hang, and nobody would know what to approve.
 */
export function showPending(approval: ApprovalView, quiet: boolean, flag: string): () => void {
  const now = () => Date.now()
  if (!quiet && isTerminal() && fitting(approval, now(), columns(), flag) !== undefined) {
    return drawLine(
      SECOND_MS,
      () => fitting(approval, now(), columns(), flag) ?? 'broker: waiting for approval',
    )
  }
  say(pendingLine(approval, now(), flag))
  return () => {}
}

/** `flag`: behind the command. */
export function pendingLine(approval: ApprovalView, now: number, flag = ''): string {
  const left = timeLeft(approval.lapsesAt, now)
  return `waiting for approval ${approval.id} (${left} left): broker approve ${approval.id}${flag}`
}

/** As much of it as goes on one line: a longer one would wrap, and could not be drawn over. */
export function fitting(
  approval: ApprovalView,
  now: number,
  columns: number,
  flag = '',
): string | undefined {
  const short = `waiting (${timeLeft(approval.lapsesAt, now)} left): broker approve ${approval.id}${flag}`
  return [pendingLine(approval, now, flag), short]
    .map((line) => visible(`broker: ${line}`))
    .find((line) => line.length < columns)
}

/** `9m 58s`; `0s` when it is over. By the wall clock: a machine that slept has less left. */
export function timeLeft(until: string, now: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(until) - now) / SECOND_MS)) || 0
  const minutes = Math.floor(seconds / 60)
  return minutes === 0 ? `${seconds}s` : `${minutes}m ${seconds % 60}s`
}

/** Asked anew for every line, because a window changes its size. */
function columns(): number {
  const { WriteStream } = process.getBuiltinModule('node:tty')
  try {
    // The terminal opened by itself: a stream on descriptor 2 would change the one the child gets.
    const terminal = new WriteStream(openSync('/dev/tty', 'r+'))
    const { columns: found } = terminal
    terminal.destroy()
    return found || USUAL_COLUMNS
  } catch {
    return USUAL_COLUMNS
  }
}
