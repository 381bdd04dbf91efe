// Runs first inside, for the whole of a task: opens the loopback addresses that lead out, waits for its
// order, starts the command on our own standard streams, and becomes its exit status. It keeps no secret
// and has no right: a task that kills it ends itself. Nothing but built-in modules, and these late: its start
// is waited for.
import { constants } from 'node:os'
import { FORWARDED } from '../child.ts'
import { namespaceTable } from '../editors/proc-table.ts'
import { TaskProcesses } from '../editors/processes.ts'
import { type InsideOrder, type InsideTerms, ORDER_FD, STARTED } from './inside-terms.ts'
import { openRelay, type Relay } from './relay.ts'

const BROKER_FAILED = 125

async function main(): Promise<void> {
  const terms = JSON.parse(process.argv[2] ?? '') as InsideTerms
  // What a person types reaches the command directly, what they send to us is sent there by `exec`.
  for (const signal of FORWARDED) process.on(signal, () => {})
  const { spawn } = process.getBuiltinModule('node:child_process') // while nobody waits for us
  await openAll(terms.relays)
  const line = readOrder()
  // Nobody is left who would want anything run.
  if (line === undefined) process.exit(BROKER_FAILED)
  const order = JSON.parse(line) as InsideOrder
  await openAll(order.relays ?? [])
  run(spawn, order, terms.waits ?? false)
}

async function openAll(relays: readonly Relay[]): Promise<void> {
  try {
    await Promise.all(relays.map((relay) => openRelay(relay, isAlone(relay, relays))))
  } catch (error) {
    fail(`an address inside cannot be opened (${codeOf(error)})`)
  }
}

/** Nobody else is at its port: then any address of the loopback will do, and none has to be looked up. */
function isAlone({ host, port }: Relay, relays: readonly Relay[]): boolean {
  return host.startsWith('127.') && relays.filter((other) => other.port === port).length === 1
}

function run(
  spawn: typeof import('node:child_process').spawn,
  { path, name, args, env }: InsideOrder,
  waits: boolean,
): void {
  const child = spawn(path, args, { argv0: name, env, stdio: 'inherit' })
  child.once('error', (error) => fail(codeOf(error)))
  child.once('spawn', () => report(STARTED))
  child.once('exit', async (code, signal) => {
    if (waits) await othersGone()
    const status = code ?? 128 + (signal === null ? 127 : constants.signals[signal])
    // Its access can end while the walls come down, and what there is of us no faster than by a signal.
    report(`over ${status}`)
    process.kill(process.pid, 'SIGKILL')
  })
}

/** What is sent or typed now is for those that the command has left. */
async function othersGone(): Promise<void> {
  const others = new TaskProcesses(namespaceTable(), 0)
  for (const signal of FORWARDED) process.on(signal, () => others.signal(signal))
  await others.allGone()
}

/** One line, waited for; `undefined` at the end of the stream. */
function readOrder(): string | undefined {
  const { readSync } = process.getBuiltinModule('node:fs')
  const parts: Buffer[] = []
  const bytes = Buffer.allocUnsafe(64 * 1024)
  for (;;) {
    const count = readSync(ORDER_FD, bytes)
    if (count === 0) return undefined
    const part = Buffer.from(bytes.subarray(0, count))
    parts.push(part)
    if (part.at(-1) === 0x0a) return Buffer.concat(parts).toString('utf8')
  }
}

function fail(why: string): void {
  report(why)
  process.exit(BROKER_FAILED)
}

/** Nobody may be left to read it. */
function report(line: string): void {
  try {
    process.getBuiltinModule('node:fs').writeSync(ORDER_FD, `${line}\n`)
  } catch {
    // Then the walls end as well.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

void main()
