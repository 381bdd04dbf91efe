import { BrokerError, type ErrorCode, isBrokerError } from '../errors.ts'

/** The daemon's error as it came over the wire, or `undefined` if this is not one. */
export function errorFrom(body: unknown): BrokerError | undefined {
  const error = field(body, 'error')
  const code = field(error, 'code')
  const message = field(error, 'message')
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  const hint = field(error, 'hint')
  const details = field(error, 'details')
  // A newer daemon may know codes that we do not; they are compared as text and shown as they are.
  return new BrokerError(code as ErrorCode, message, {
    hint: typeof hint === 'string' ? hint : '',
    details: typeof details === 'object' && details !== null ? { ...details } : {},
  })
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}

export function notRunning(cause: unknown): BrokerError {
  return new BrokerError('daemon_unreachable', 'the daemon is not running', {
    hint: 'broker daemon start',
    cause,
  })
}

/** Inside a task nothing is started: the broker there belongs to whoever started the task. */
export function outOfReach(socket: string, cause: unknown): BrokerError {
  return new BrokerError('daemon_unreachable', `nobody answers at the task's socket "${socket}"`, {
    hint: 'the daemon restarts outside of the task; try again in a moment',
    cause,
  })
}

export function garbled(): BrokerError {
  return new BrokerError('daemon_unreachable', 'the daemon answered with something unreadable', {
    hint: 'the CLI and the daemon may be of different versions: broker daemon stop, then try again',
  })
}

export function hasCode(error: unknown, code: ErrorCode): boolean {
  return isBrokerError(error) && error.code === code
}

export function silent(afterMs: number): BrokerError {
  return new BrokerError('daemon_unreachable', `the daemon gave no answer within ${afterMs} ms`, {
    hint: 'see broker daemon logs; broker daemon stop, and the next command starts it anew',
  })
}
