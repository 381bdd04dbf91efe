import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BrokerError } from '../../errors.ts'
import { ensurePrivateFolder, type Home } from '../../lib/home.ts'

/** A folder of one task alone, 0700, for `toolVariables`. It goes with the process that made it. */
export interface ToolsFolder {
  readonly path: string
  /** May be repeated. Comes by itself when this process exits. */
  remove(): void
  /** Lets it outlive this process, for a task that does: swept after that instant. */
  leaveUntil(at: Date): void
}

/** When a folder that was left may go: milliseconds since 1970. */
const UNTIL = '.until'

const OWN_NAME = /^([1-9]\d{0,9})-[A-Za-z0-9]{6}$/

/**
 * Where such folders stand. Inside a task the broker's own folders are not for us to write in: a
 * folder under the temp folder, which has to be ours alone.
 */
export function toolsBase(home: Pick<Home, 'run'>, inTask: boolean): string {
  if (!inTask) return join(home.run, 'tools')
  return join(tmpdir(), `broker-tools-${process.getuid?.() ?? 'task'}`)
}

/**
 * Makes one, and removes those whose process was killed before it could. Throws `internal` if there
 * is no room, or the place is not ours.
 */
export function makeToolsFolder(base: string, now: Date = new Date()): ToolsFolder {
  const path = make(base, now)
  const remove = () => removeFolder(path)
  process.once('exit', remove)
  return {
    path,
    remove,
    leaveUntil: (at) => {
      writeFileSync(join(path, UNTIL), String(at.getTime()), { mode: 0o600 })
      process.off('exit', remove)
    },
  }
}

function make(base: string, now: Date): string {
  try {
    ensurePrivateFolder(base)
    sweep(base, now)
    return mkdtempSync(join(base, `${process.pid}-`))
  } catch (cause) {
    throw new BrokerError('internal', `no folder for the task can be made in "${base}"`, {
      hint: 'see that there is room and that the folder is yours; then start the task again',
      cause,
    })
  }
}

/** A number that another process has by now keeps its folder a while longer; nothing else comes of it. */
function sweep(base: string, now: Date): void {
  for (const name of readdirSync(base)) {
    const pid = OWN_NAME.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    const path = join(base, name)
    if (leftUntil(path) <= now.getTime()) removeFolder(path)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function leftUntil(path: string): number {
  try {
    return Number(readFileSync(join(path, UNTIL), 'latin1')) || 0
  } catch {
    return 0
  }
}

/** Whatever is still in use there: the next sweep has another try. */
function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {
    // It holds no credential of ours.
  }
}
