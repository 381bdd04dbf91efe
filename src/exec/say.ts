import { writeSync } from 'node:fs'
import { visible } from '../cli/terminal.ts'
import type { BrokerError } from '../errors.ts'

const STDOUT = 1
const STDERR = 2
const PAUSE_MS = 5
const PATIENCE = 400

/** One line to the person, on standard error; standard output is the child's. */
export function say(line: string): void {
  write(STDERR, `broker: ${visible(line)}\n`)
}

export function sayError(error: BrokerError): void {
  say(error.message)
  if (error.hint !== '') write(STDERR, `hint: ${visible(error.hint)}\n`)
}

/** For `--dry-run`, which has no child. */
export function print(lines: readonly string[]): void {
  write(STDOUT, `${lines.map(visible).join('\n')}\n`)
}

/** As it is: to draw on the terminal. */
export function draw(text: string): void {
  write(STDERR, text)
}

/**
 * Written by the system call itself: `process.stderr` would switch a pipe to non-blocking, for the
 * child too, whose writes could then fail. A reader that has gone is no reason to stop; one that is
 * slow is waited for, up to two seconds.
 */
function write(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  let patience = PATIENCE
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done)
    } catch (error) {
      const full = error instanceof Error && 'code' in error && error.code === 'EAGAIN'
      if (!full || patience-- === 0) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
  }
}
