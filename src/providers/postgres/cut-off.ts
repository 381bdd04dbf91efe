import pg from 'pg'
import { codeOf, isConflict } from './failure.ts'
import { installOf, rolePrefix } from './names.ts'
import type { Role } from './role.ts'
import type { Session } from './session.ts'
import { endSessions } from './sessions.ts'

const { escapeIdentifier: quote } = pg
const ATTEMPTS = 8

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
