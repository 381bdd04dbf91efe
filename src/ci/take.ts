import { setTimeout as wait } from 'node:timers/promises'
import type { LeaseView } from '../api/types.ts'
import type { Environment } from '../client/caller.ts'
import type { Server } from '../client/server.ts'
import { Secret } from '../lib/secret.ts'
import { type Exchanged, exchange, type Wish } from './exchange.ts'
import { acknowledge, claim, revokeByHandle } from './lease-calls.ts'

export interface Taken {
  readonly lease: LeaseView
  readonly handle: Secret
  /** Milliseconds since 1970, by our clock. */
  readonly expiresAt: number
  /** The credentials, and what later commands of the job need to ask about the lease or to end it. */
  readonly variables: Secret<Readonly<Record<string, string>>>
}

export interface TakeOptions {
  readonly env?: Environment
  /** Told as soon as there is something to revoke, before the credentials are asked for. */
  readonly onLease?: (held: Exchanged) => Promise<void> | void
  /** Aborted: what was got is revoked, and `takeLease` rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * Exchanges the identity, claims the credentials, hands them to `deliver`, and acknowledges them once
 * that has ended well. Whatever fails after the exchange, `deliver` included, revokes the lease; then
 * this rejects with that first error. If even revoking fails the server still ends the lease: 20 s
 * later where nothing was acknowledged, else when its time is over.
 */
export async function takeLease(
  server: Server,
  subject: Secret,
  wish: Wish,
  deliver: (taken: Taken) => Promise<void> | void,
  { env = {}, onLease, signal }: TakeOptions = {},
): Promise<Taken> {
  signal?.throwIfAborted()
  // Only the pauses are cut short: an answer that is under way may hold a lease that has to be ended.
  const sleep = (ms: number) => wait(ms, undefined, signal && { signal })
  const held = await exchange(server, subject, wish, env, { sleep })
  try {
    await onLease?.(held)
    signal?.throwIfAborted()
    const { lease, variables } = await claim(server, held, env)
    signal?.throwIfAborted()
    const { handle, expiresAt } = held
    const taken = { lease, handle, expiresAt, variables: withOwn(server, held, variables) }
    await deliver(taken)
    signal?.throwIfAborted()
    await acknowledge(server, held, env)
    signal?.throwIfAborted()
    return taken
  } catch (error) {
    await revokeByHandle(server, held.handle, env).catch(() => {})
    throw error
  }
}

/** As the server gives them, with the address at which they are of use. */
function withOwn(
  server: Server,
  held: Exchanged,
  variables: Secret<Readonly<Record<string, string>>>,
): Secret<Readonly<Record<string, string>>> {
  const own = {
    BROKER_LEASE: held.lease,
    BROKER_HANDLE: held.handle.reveal(),
    BROKER_SERVER: server.url,
  }
  return new Secret({ ...variables.reveal(), ...own })
}
