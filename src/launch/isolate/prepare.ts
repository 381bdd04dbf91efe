import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BrokerError } from '../../errors.ts'
import { ensurePrivateFolder } from '../../lib/home.ts'
import type { IsolationPlan } from './plan.ts'

/**
 * Makes what the plan binds: the filtered copies, the project's caches. May be repeated; an older copy is
 * replaced. Throws `internal` if there is no room or the folder is not ours.
 */
export function prepare(plan: IsolationPlan): void {
  try {
    const folders = new Set([...plan.copies.keys()].map((path) => dirname(path)))
    for (const folder of folders) ensurePrivateFolder(folder)
    for (const [path, text] of plan.copies) writeNew(path, text)
    for (const folder of plan.folders) {
      if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 })
    }
  } catch (cause) {
    throw new BrokerError('internal', 'the files of the isolated task cannot be written', {
      hint: "see that there is room and that the broker's folders are yours; then start the task again",
      cause,
    })
  }
}

/** Of one part of a path, on all common file systems. */
const LONGEST_NAME = 255

/** Never through something that somebody put there: what is there goes first, which is rarely anything. */
function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  } catch {
    rmSync(path, { force: true })
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  }
}

/** A folder per project below the broker's, whose name says which and cannot be another's. */
export function projectFolder(base: string, workTree: string): string {
  const name = encodeURIComponent(workTree)
  if (name.length <= LONGEST_NAME) return join(base, name)
  // Only now: to load it takes as long as half of the plan.
  const { createHash } = process.getBuiltinModule('node:crypto')
  return join(base, `sha256-${createHash('sha256').update(workTree).digest('hex')}`)
}
