import { exitCode } from '../api/status.ts'
import type { ErrorBody } from '../api/types.ts'
import { isBrokerError, type SafeDetails } from '../errors.ts'
import { Interrupted } from './interrupted.ts'
import { jsonText, lookOf, paint, print, remark, visible } from './terminal.ts'

/** What is said about an error: nothing else about it leaves the process. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly details: SafeDetails
  readonly exit: number
}

/** Errors that are not ours become one `internal` line: their text may quote anything. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Interrupted) {
    const { code, message, exit } = error
    return { code, message, hint: '', details: {}, exit }
  }
  if (isBrokerError(error)) {
    const { code, message, hint, details } = error
    return { code, message, hint, details: details ?? {}, exit: exitCode(code) }
  }
  return {
    code: 'internal',
    message: `unexpected error (${kindOf(error)})`,
    hint: 'run it again with DEBUG=broker to see where, and report it',
    details: {},
    exit: exitCode('internal'),
  }
}

/** The system's code (`ENOSPC`) or the class: neither can quote anything. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code) ? code : error.name
}

/** Tells the person or the script, and returns the exit code. */
export function report(error: unknown, json: boolean, env = process.env): number {
  const failure = failureOf(error)
  const { code, message, hint, details } = failure
  if (json) {
    print([jsonText({ error: { code, message, hint, details } } satisfies ErrorBody)])
  } else {
    const look = lookOf(process.stderr, env)
    remark([
      `${paint(look, 'bad', 'broker:')} ${visible(message)}`,
      ...(hint === '' ? [] : [`${paint(look, 'dim', 'hint:')} ${visible(hint)}`]),
    ])
  }
  if (asksForStack(env['DEBUG']) && error instanceof Error) remark([error.stack ?? ''])
  return failure.exit
}

/** The stack without its causes: those may hold what an upstream system answered. */
function asksForStack(debug: string | undefined): boolean {
  return (debug ?? '').split(/[\s,]+/).some((name) => name === '*' || name.startsWith('broker'))
}
