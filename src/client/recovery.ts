import { SESSION } from '../api/session.ts'
import { type BrokerError, isBrokerError } from '../errors.ts'
import { garbled, hasCode } from './failure.ts'

/** What became of a broken line. */
export type Recovered =
  | { readonly kind: 'back' }
  /** The broker is there and the lease is over. */
  | { readonly kind: 'ended'; readonly error: BrokerError }
  /** `last`: what the last try failed with. */
  | { readonly kind: 'gone'; readonly last: unknown }
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
  /** Between two tries; `attempt` counts from 1. */
  pauseMs(attempt: number): number
}

/** Tries until the broker takes us back or says that there is nothing left, at most `SESSION.returnMs`. */
export async function recover(line: BrokenLine): Promise<Recovered> {
  const deadline = line.elapsed() + SESSION.returnMs
  let last: unknown
  await line.clear()
  for (let attempt = 1; line.elapsed() < deadline && line.wanted(); attempt++) {
    try {
      await line.resume(deadline - line.elapsed())
      return { kind: 'back' }
    } catch (error) {
      last = error
      if (isLeaseOver(error)) return { kind: 'ended', error: told(error) }
      await sleep(line.pauseMs(attempt))
    }
  }
  return line.wanted() ? { kind: 'gone', last } : { kind: 'given up' }
}

/** True if the broker knows us no more: the lease has ended, or is not ours. */
export function isLeaseOver(error: unknown): boolean {
  return hasCode(error, 'lease_ended') || hasCode(error, 'denied')
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function told(error: unknown): BrokerError {
  return isBrokerError(error) ? error : garbled()
}
