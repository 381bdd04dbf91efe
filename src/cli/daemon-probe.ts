import type { Health } from '../api/types.ts'
import { probe } from '../client/daemon-process.ts'
import { identityOf } from '../client/process-identity.ts'
import { BrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'

const ANSWER_MS = 3000

/** Who serves this home; null when nobody listens. Starts nothing, needs no key. */
export async function runningDaemon(home: Home): Promise<Health | null> {
  const found = await probe(home, ANSWER_MS)
  if (found === 'away') return null
  if (found !== 'silent') return found
  throw new BrokerError('daemon_unreachable', `what listens at "${home.socket}" does not answer`, {
    hint: 'broker daemon logs may say why; end that process, and the next command starts a new one',
  })
}

/** A test for "it has ended", of exactly the process that has this id now. */
export function endOf(pid: number): () => boolean {
  const identity = identityOf(pid)
  // By its identity too: a dead process that nobody collects yet still answers to its number, as
  // in many containers, and another one may get the number.
  return () => !answers(pid) || identityOf(pid) !== identity
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
