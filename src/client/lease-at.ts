import { ROUTES } from '../api/routes.ts'
import type { LeaseView } from '../api/types.ts'
import type { Caller } from './caller.ts'
import { exchange } from './exchange.ts'

const ANSWER_MS = 5000

/** The lease as the daemon sees it now; `undefined` if it does not tell. Starts no daemon. */
export async function leaseAt(caller: Caller, id: string): Promise<LeaseView | undefined> {
  const { method } = ROUTES.showLease
  const path = ROUTES.showLease.path.replace(':id', encodeURIComponent(id))
  const call = { socket: caller.socket, method, path, timeoutMs: ANSWER_MS }
  try {
    const answer = await exchange({ ...call, bearer: caller.bearer() })
    return answer.status === 200 ? (answer.body as LeaseView) : undefined
  } catch {
    return undefined
  }
}
