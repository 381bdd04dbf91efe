import { EXEC_NOT_EXECUTABLE, EXEC_NOT_FOUND, EXEC_REFUSED } from '../api/status.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { type ResolvedCommand, resolveCommand } from '../launch/resolve-command.ts'

/** Why the command did not run, and the status that says so (contract §2). */
export class NotRun extends Error {
  override readonly name = 'NotRun'
  readonly status: number
  readonly error: BrokerError

  constructor(status: number, error: BrokerError) {
    super(error.message)
    this.status = status
    this.error = error
  }
}

/** Also when it comes out of another bundle (so no `instanceof`). */
function isNotRun(error: unknown): error is NotRun {
  return error instanceof Error && error.name === 'NotRun' && 'status' in error
}

/** Errors that are not ours are not quoted: their text may hold anything. */
export function refused(error: unknown): NotRun {
  if (isNotRun(error)) return error
  if (isBrokerError(error)) return new NotRun(EXEC_REFUSED, error)
  const kind = error instanceof Error ? error.name : typeof error
  const hint = 'run broker doctor; if it finds nothing, report it'
  return new NotRun(
    EXEC_REFUSED,
    new BrokerError('internal', `unexpected error (${kind})`, { hint }),
  )
}

/** The absolute path to run. Throws NotRun 126 or 127, before anything was asked for. */
export function pathOf(
  command: string,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): string {
  const resolved: ResolvedCommand = resolveCommand(command, env, cwd)
  switch (resolved.found) {
    case 'executable':
      return resolved.path
    case 'not-executable':
      throw notExecutable(command, resolved.path)
    case 'nothing':
      throw notFound(command)
    default:
      throw notFound(command, resolved satisfies never)
  }
}

/** For a command that was there and yet did not start; `inside`: within walls, where less is there. */
export function spawnFailure(command: string, error: unknown, inside = false): NotRun {
  if (isBrokerError(error)) return refused(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT') return inside ? notInside(command) : notFound(command)
  if (code === 'E2BIG') {
    return new NotRun(
      EXEC_NOT_EXECUTABLE,
      new BrokerError('usage', `arguments and environment are too long for "${command}"`, {
        hint: 'pass less, for example by a file',
      }),
    )
  }
  return notExecutable(command, command)
}

function notFound(command: string, cause?: unknown): NotRun {
  const hint = 'check the name and PATH, or give the path of the program'
  return new NotRun(
    EXEC_NOT_FOUND,
    new BrokerError('usage', `command "${command}" was not found`, { hint, cause }),
  )
}

function notInside(command: string): NotRun {
  return new NotRun(
    EXEC_NOT_FOUND,
    new BrokerError('usage', `command "${command}" was not found inside`, {
      hint: 'it, or what runs it, is in a folder that is hidden: put that folder into PATH, or take --isolation scrub, which is no boundary',
    }),
  )
}

function notExecutable(command: string, path: string): NotRun {
  return new NotRun(
    EXEC_NOT_EXECUTABLE,
    new BrokerError('usage', `command "${command}" cannot be executed`, {
      hint: `"${path}" must be a program, and executable (chmod +x)`,
    }),
  )
}
