import type { Caller, Context } from '../broker/context.ts'
import type { Lease, Principal } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import { constantTimeEqual, digest } from '../lib/equal.ts'
import type { LeaseId } from '../lib/ids.ts'
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
  const bearer = bearerOf(header)
  if (constantTimeEqual(bearer, authentication.operatorKey.reveal())) {
    return { kind: 'operator', principal: authentication.operator }
  }
  if (bearer.startsWith('bkh_')) {
    const lease = await context.store.read.leaseByHandle(digest(bearer))
    if (lease?.state === 'active') return { kind: 'lease', lease }
    throw ended()
  }
  throw new BrokerError('unauthorized', 'this key is not the one of this broker', {
    hint: 'the key is in operator.key in the configuration folder; BROKER_HOME may point elsewhere',
  })
}

/**
 * Who calls at the socket of one task: that task, or one that it asked for itself. The operator's key is
 * as good as any other wrong one here: whoever holds it does not come from inside.
 */
export async function authenticateTask(
  context: Context,
  task: LeaseId,
  header: string | undefined,
): Promise<Caller> {
  const bearer = bearerOf(header)
  const lease = bearer.startsWith('bkh_')
    ? await context.store.read.leaseByHandle(digest(bearer))
    : undefined
  if (!lease || !(await isWithin(context, lease, task))) {
    throw new BrokerError(
      'unauthorized',
      'this socket takes the credential of its own task alone',
      {
        hint: 'send "Authorization: Bearer" with $BROKER_HANDLE',
      },
    )
  }
  if (lease.state !== 'active') throw ended()
  return { kind: 'lease', lease }
}

async function isWithin(context: Context, lease: Lease, task: LeaseId): Promise<boolean> {
  let at: Lease | null | undefined = lease
  while (at && at.id !== task) at = at.parent && (await context.store.read.lease(at.parent))
  return Boolean(at)
}

function bearerOf(header: string | undefined): string {
  const bearer = header?.match(/^Bearer (\S{1,500})$/)?.[1]
  if (bearer !== undefined) return bearer
  throw new BrokerError('unauthorized', 'this request carries no key', {
    hint: 'send "Authorization: Bearer" with the operator key, or inside a task with $BROKER_HANDLE',
  })
}

function ended(): BrokerError {
  return new BrokerError('lease_ended', 'the lease of this task has ended', {
    hint: 'a person starts a new task with broker exec',
  })
}

/** For routes only a person may use. */
export function requireOperator(caller: Caller): void {
  if (caller.kind === 'operator') return
  throw new BrokerError('denied', 'a task may not do this', {
    hint: 'a person does it outside the task',
    details: caller.kind === 'lease' ? { lease: caller.lease.id } : {},
  })
}
