import { execFile } from 'node:child_process'
import type { Environment } from '../client/caller.ts'
import type { Secret } from '../lib/secret.ts'
import { tokenIn } from './token-shape.ts'

export type CommandResult =
  | { readonly kind: 'token'; readonly token: Secret }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly why: string; readonly cause?: unknown }

const TIMEOUT_MS = 30_000
const LONGEST_OUTPUT = 64 * 1024

/**
 * Runs a program of the CI system that prints an identity token, found on PATH. It gets the job's
 * environment without our own variables: they may hold an operator's key. What it says on standard
 * error is not shown: it may quote what it holds.
 */
export function tokenFrom(
  command: string,
  args: readonly string[],
  env: Environment,
): Promise<CommandResult> {
  const inherited = Object.entries(env).filter(([name]) => !name.startsWith('BROKER_'))
  const options = {
    env: Object.fromEntries(inherited),
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: LONGEST_OUTPUT,
    windowsHide: true,
  } as const
  return new Promise((resolve) => {
    const child = execFile(command, args, options, (error, stdout) => {
      if (error) return resolve(failure(error))
      const token = tokenIn(stdout)
      resolve(token ? { kind: 'token', token } : { kind: 'failed', why: 'printed no token' })
    })
    child.stdin?.end()
  })
}

function failure(cause: Error & { code?: unknown; killed?: boolean }): CommandResult {
  if (cause.code === 'ENOENT') return { kind: 'missing' }
  if (cause.killed === true) return { kind: 'failed', why: 'did not end in time', cause }
  const ended = typeof cause.code === 'number'
  return { kind: 'failed', why: ended ? `ended with ${cause.code}` : 'could not be run', cause }
}
