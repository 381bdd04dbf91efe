import { renameSync, statSync, writeSync } from 'node:fs'
import type { Log } from '../broker/context.ts'
import { isBrokerError } from '../errors.ts'

const LARGEST = 5 * 1024 * 1024

/** The log of the last run is kept beside a new one once it has grown large. */
export function rotateLog(path: string): void {
  try {
    if (statSync(path).size > LARGEST) renameSync(path, `${path}.1`)
  } catch {
    // no log yet
  }
}

/**
 * To standard error. A line that cannot be written (the disk is full, the reader has gone) is lost: as an
 * error of the stream it would end the daemon, which is there to end leases.
 */
export function writeLogLine(line: string): void {
  try {
    writeSync(2, line)
  } catch {
    // there is nowhere to say so
  }
}

/**
 * One line per event on standard error (the log file of a detached daemon). Of a foreign error only
 * its class, code and stack frames are written: its message may quote a secret.
 */
export function createLog(write: (line: string) => void, now: () => number): Log {
  const line = (level: string, message: string, facts: Readonly<Record<string, unknown>> = {}) => {
    const shown = Object.entries(facts).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
    write(`${new Date(now()).toISOString()} ${level} ${message}${shown.join('')}\n`)
  }
  return {
    info: (message, facts) => line('info', message, facts),
    warn: (message, facts) => line('warn', message, facts),
    error: (message, error) => line('error', message, describe(error)),
  }
}

/** What may be written of an error: never the message of a foreign one. */
export function describe(error: unknown): Record<string, unknown> {
  if (isBrokerError(error)) {
    const cause = error.cause === undefined ? {} : { cause: describe(error.cause) }
    return { code: error.code, says: error.message, ...cause }
  }
  if (!(error instanceof Error)) return { thrown: typeof error }
  const code = (error as NodeJS.ErrnoException).code
  const frames = (error.stack ?? '').split('\n').filter((frame) => /^\s+at /.test(frame))
  return {
    class: error.name,
    code: typeof code === 'string' ? code : null,
    frames: frames.map((f) => f.trim()),
  }
}
