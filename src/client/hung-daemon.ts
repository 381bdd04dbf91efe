import type { Home } from '../lib/home.ts'
import { probe } from './daemon-process.ts'
import { identityOf } from './process-identity.ts'

const ANSWER_MS = 1000

/**
 * Kills a daemon that hangs, so that another can take its place. Only the process that held our
 * session, recognised by more than its number (`identity`, see `identityOf`), and only while it does
 * not answer a fresh connection either. Does nothing when in doubt; may be repeated.
 */
export async function killHung(
  home: Home,
  pid: number,
  identity: string | undefined,
): Promise<void> {
  if ((await probe(home, ANSWER_MS)) !== 'silent') return
  if (identity === undefined || identityOf(pid) !== identity) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone, which is what we want.
  }
}
