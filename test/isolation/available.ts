import { spawnSync } from 'node:child_process'

/** Whether the walls can be built here. Where CI is set, a missing program is a failure: a skipped test protects nothing. */
export function hasBubblewrap(): boolean {
  if (spawnSync('bwrap', ['--version']).status === 0) return true
  const message = 'no bubblewrap to test with'
  if (process.env['CI']) throw new Error(message)
  console.warn(`\nSKIPPED: ${message}\n`)
  return false
}

export type Person = 'root' | 'nobody' | 'self'

/** Root tries everything once more as an ordinary user. */
export const PERSONS: readonly Person[] = process.getuid?.() === 0 ? ['root', 'nobody'] : ['self']
