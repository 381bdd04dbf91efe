import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** Held as long as the process lives; the kernel lets go of it at any death, `kill -9` included. */
export interface Lock {
  release(): void
}

/**
 * One daemon per home. Node has no flock; SQLite's exclusive transaction is one (fcntl locks on
 * POSIX, LockFileEx on Windows). Null when another process holds it: no pid, no stale file.
 */
export function takeLock(path: string): Lock | null {
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  const database = new DatabaseSync(path)
  try {
    database.exec('pragma busy_timeout = 0; begin exclusive')
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw error
  }
  return { release: () => database.close() }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && (code & 0xff) === 5
}
