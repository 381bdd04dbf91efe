import { SESSION } from '../api/session.ts'
import type { LeaseView } from '../api/types.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import type { Caller } from './caller.ts'
import { garbled, hasCode } from './failure.ts'
import { leaseAt } from './lease-at.ts'

const RETRY_MS = 60
const POLL_MS = 250

/** What became of a broken line. */
export type Recovered =
  | { readonly kind: 'back' }
  /** The daemon is there and the lease is over. */
  | { readonly kind: 'ended'; readonly error: BrokerError }
  | { readonly kind: 'gone'; readonly error: BrokerError }
  /** Nobody wants it back any more. */
  | { readonly kind: 'given up' }

export interface BrokenLine {
  /** Milliseconds in which this process itself was running. */
  elapsed(): number
  wanted(): boolean
  /** Removes what would be in the way. Its time counts. */
  clear(): Promise<void>
  /** One try to take it up again within the time. */
  resume(remainingMs: number): Promise<void>
}

/** Tries until the daemon takes us back or says that there is nothing left, at most `SESSION.returnMs`. */
export async function recover(line: BrokenLine): Promise<Recovered> {
  const deadline = line.elapsed() + SESSION.returnMs
  let last: unknown
  await line.clear()
  while (line.elapsed() < deadline && line.wanted()) {
    try {
      await line.resume(deadline - line.elapsed())
      return { kind: 'back' }
    } catch (error) {
      last = error
      if (isLeaseOver(error)) return { kind: 'ended', error: told(error) }
      await sleep(RETRY_MS)
    }
  }
  return line.wanted() ? { kind: 'gone', error: neverCameBack(last) } : { kind: 'given up' }
}

/** True if the daemon knows us no more: the lease has ended, or is not ours. */
export function isLeaseOver(error: unknown): boolean {
  return hasCode(error, 'lease_ended') || hasCode(error, 'denied')
}

/** Asks until the daemon, which ends the lease by itself, has done so. `undefined` if no more wanted. */
export async function endedLease(
  caller: Caller,
  id: string,
  wanted: (latest: LeaseView | undefined) => boolean,
): Promise<LeaseView | undefined> {
  for (;;) {
    const lease = await leaseAt(caller, id)
    if (lease?.endedAt) return lease
    if (!wanted(lease)) return undefined
    await sleep(POLL_MS)
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function told(error: unknown): BrokerError {
  return isBrokerError(error) ? error : garbled()
}

function neverCameBack(cause: unknown): BrokerError {
  return new BrokerError('daemon_unreachable', 'the daemon went away and did not come back', {
    hint: 'see broker daemon logs; the lease ends when a daemon starts again, or at its own time',
    cause,
  })
}
