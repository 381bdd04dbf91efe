// Runs first inside, for the whole of a task: opens the loopback addresses that lead out, starts the
// command on our own standard streams, and becomes its exit status. It holds no secret and no right: a
// task that kills it ends itself. Nothing but built-in modules, and these late: its start is waited for.
import { constants } from 'node:os'
import { FORWARDED } from '../child.ts'
import { type InsideTerms, REPORT_FD, STARTED } from './inside-terms.ts'
import { openRelay } from './relay.ts'

const BROKER_FAILED = 125

async function main(): Promise<void> {
  const [json = '', ...args] = process.argv.slice(2)
  const terms = JSON.parse(json) as InsideTerms
  // What a person types reaches the command directly, what they send to us is sent there by `exec`.
  for (const signal of FORWARDED) process.on(signal, () => {})
  try {
    await Promise.all(terms.relays.map(openRelay))
  } catch (error) {
    return fail(`an address inside cannot be opened (${codeOf(error)})`)
  }
  run(terms, args)
}

function run({ command, variables }: InsideTerms, args: readonly string[]): void {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(command.path, args, {
    argv0: command.name,
    env: { ...process.env, ...variables },
    stdio: 'inherit',
  })
  child.once('error', (error) => {
    report(codeOf(error))
    process.exit(BROKER_FAILED)
  })
  child.once('spawn', () => report(STARTED))
  child.once('exit', (code, signal) => {
    process.exit(code ?? 128 + (signal === null ? 127 : constants.signals[signal]))
  })
}

function fail(why: string): void {
  report(why)
  process.exit(BROKER_FAILED)
}

function report(line: string): void {
  const { writeSync, closeSync } = process.getBuiltinModule('node:fs')
  writeSync(REPORT_FD, `${line}\n`)
  closeSync(REPORT_FD)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

void main()
