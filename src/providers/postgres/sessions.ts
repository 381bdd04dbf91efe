import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { BrokerError } from '../../errors.ts'
import { codeOf } from './failure.ts'
import { becomeMember } from './membership.ts'
import type { Role } from './role.ts'
import type { Session } from './session.ts'

const { escapeIdentifier: quote } = pg
const GONE_MS = 5_000

/** Terminates all sessions of the roles and returns when the server shows none. */
export async function endSessions(session: Session, roles: readonly Role[]): Promise<void> {
  const oids = roles.map(({ oid }) => oid)
  const started = performance.now()
  for (
    let pause = 2;
    (await terminate(session, oids, roles)) > 0;
    pause = Math.min(pause * 2, 50)
  ) {
    if (performance.now() - started > GONE_MS) {
      throw new BrokerError(
        'provider_unavailable',
        `sessions of "${roles[0]?.name}" have not ended yet`,
        {
          hint: 'it is tried again',
          details: { connection: session.connection, role: roles[0]?.name },
        },
      )
    }
    await sleep(pause, undefined, { signal: session.signal })
  }
}

async function terminate(
  session: Session,
  oids: readonly number[],
  roles: readonly Role[],
): Promise<number> {
  try {
    return await signalAll(session, oids)
  } catch (error) {
    if (codeOf(error) !== '42501') throw error
  }
  try {
    // Before version 15 a role could also throw the admin out of itself, or be in the way of this.
    for (const role of roles) await becomeMember(session, role.name)
    return await signalAll(session, oids)
  } catch (cause) {
    if (!/^(42501|42704|55P03)$/.test(codeOf(cause) ?? '')) throw cause
    throw new BrokerError(
      'provider_failed',
      `"${session.admin.name}" may not end the sessions of "${roles[0]?.name}"`,
      {
        hint: `as a superuser run: GRANT pg_signal_backend TO ${quote(session.admin.name)}`,
        details: { connection: session.connection, role: roles[0]?.name, sqlstate: codeOf(cause) },
        cause,
      },
    )
  }
}

/** How many there were. Those already ending are counted again, and signalled again: no harm. */
async function signalAll(session: Session, oids: readonly number[]): Promise<number> {
  const [row] = await session.rows<{ alive: number }>(
    `SELECT count(pg_terminate_backend(pid))::int4 AS alive
     FROM pg_stat_activity WHERE usesysid = ANY ($1::oid[]) AND pid <> pg_backend_pid()`,
    [oids],
  )
  return row?.alive ?? 0
}

/**
 * A login that was half-way when the role was dropped leaves a session of nobody. Ends those of a
 * role that is gone; its id is only used when no role has it.
 */
export async function endGhosts(session: Session, name: string, oid: number | null): Promise<void> {
  if (oid === null) return
  const [row] = await session.rows<{ taken: boolean }>(
    'SELECT EXISTS (SELECT FROM pg_roles WHERE oid = $1) AS taken',
    [oid],
  )
  if (row?.taken !== true) await endSessions(session, [{ oid, name }])
}
