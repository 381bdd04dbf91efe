import type { Caller, Context } from '../broker/context.ts'
import type { Principal } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import { constantTimeEqual, digest } from '../lib/equal.ts'
import type { Secret } from '../lib/secret.ts'

export interface Authentication {
  readonly operatorKey: Secret
  /** Who holds the operator key: the user the daemon runs as. */
  readonly operator: Principal
}

/**
 * Who calls, from the `Authorization` header: the operator by the operator key, or a task by its
 * lease's credential. Throws `unauthorized` for everything else; being on the socket proves nothing.
 */
export async function authenticate(
  context: Context,
  authentication: Authentication,
  header: string | undefined,
): Promise<Caller> {
  const bearer = header?.match(/^Bearer (\S{1,500})$/)?.[1]
  if (bearer === undefined) {
    throw new BrokerError('unauthorized', 'this request carries no key', {
      hint: 'send "Authorization: Bearer" with the operator key, or inside a task with $BROKER_HANDLE',
    })
  }
  if (constantTimeEqual(bearer, authentication.operatorKey.reveal())) {
    return { kind: 'operator', principal: authentication.operator }
  }
  if (bearer.startsWith('bkh_')) {
    const lease = await context.store.read.leaseByHandle(digest(bearer))
    if (lease?.state === 'active') return { kind: 'lease', lease }
    throw new BrokerError('lease_ended', 'the lease of this task has ended', {
      hint: 'a person starts a new task with broker exec',
    })
  }
  throw new BrokerError('unauthorized', 'this key is not the one of this broker', {
    hint: 'the key is in operator.key in the configuration folder; BROKER_HOME may point elsewhere',
  })
}

/** For routes only a person may use. */
export function requireOperator(caller: Caller): void {
  if (caller.kind === 'operator') return
  throw new BrokerError('denied', 'a task may not do this', {
    hint: 'a person does it outside the task',
    details: { lease: caller.lease.id },
  })
}
