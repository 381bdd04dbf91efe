import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { BrokerError } from '../../errors.ts'
import { codeOf, isConflict } from './failure.ts'
import { becomeMember } from './membership.ts'
import { installOf, rolePrefix } from './names.ts'
import type { Session } from './session.ts'

const { escapeIdentifier: quote } = pg
const ATTEMPTS = 8
const GONE_MS = 5_000

export interface Role {
  readonly oid: number
  readonly name: string
}

export async function findRole(session: Session, name: string): Promise<Role | null> {
  const [role] = await session.rows<Role>(
    'SELECT oid, rolname::text AS name FROM pg_roles WHERE rolname = $1',
    [name],
  )
  return role ?? null
}

/**
 * Ends all access: first no new login (committed), then every session. In the other order a client
 * that reconnects would slip through between the two. `unblock` ends what of the role's is not in a
 * session.
 */
export async function cutOff(
  session: Session,
  role: Role,
  unblock: () => Promise<void>,
): Promise<void> {
  await forbidLogin(session, role, unblock)
  await endSessions(session, [role, ...(await takeFromSiblings(session, role))])
}

/**
 * The role itself can hold its own catalog row, with `ALTER ROLE` on itself in an open transaction,
 * and so make this wait for ever: then its sessions are ended first, and it is tried again.
 */
async function forbidLogin(
  session: Session,
  role: Role,
  unblock: () => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.run(
        `SET LOCAL lock_timeout = '300ms';
         ALTER ROLE ${quote(role.name)} NOLOGIN PASSWORD NULL CONNECTION LIMIT 0`,
      )
      return
    } catch (error) {
      const code = codeOf(error)
      if (code === '42704') return // another revocation was faster
      if (attempt === ATTEMPTS || (code !== '55P03' && !isConflict(error))) throw error
      if (code === '55P03') {
        await endSessions(session, [role])
        await unblock()
      }
    }
  }
}

/**
 * Before version 15 a role may grant itself to another, so one lease could hand its rights to the
 * session of another. Takes it away from other leases, and names them: their sessions must end,
 * because one that already became this role stays so.
 */
async function takeFromSiblings(session: Session, role: Role): Promise<readonly Role[]> {
  const siblings = await session.rows<Role>(
    `WITH RECURSIVE member (oid) AS (
       SELECT member FROM pg_auth_members WHERE roleid = $1
       UNION SELECT a.member FROM pg_auth_members a JOIN member m ON a.roleid = m.oid)
     SELECT r.oid, r.rolname::text AS name FROM pg_roles r JOIN member USING (oid)
     WHERE left(r.rolname, length($2)) = $2`,
    [role.oid, rolePrefix(installOf(role.name))],
  )
  for (const sibling of siblings) {
    await session.run(`REVOKE ${quote(role.name)} FROM ${quote(sibling.name)}`)
  }
  return siblings
}

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
