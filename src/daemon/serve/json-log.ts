import type { Log } from '../../broker/context.ts'
import { describe } from '../log.ts'

/** One JSON object a line, with the same facts as the text. */
export function createJsonLog(write: (line: string) => void, now: () => number): Log {
  const line = (level: string, message: string, facts: Readonly<Record<string, unknown>> = {}) =>
    write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, message, ...facts })}\n`)
  return {
    info: (message, facts) => line('info', message, facts),
    warn: (message, facts) => line('warn', message, facts),
    error: (message, error) => line('error', message, { error: describe(error) }),
  }
}
