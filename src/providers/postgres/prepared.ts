import pg from 'pg'
import { becomeMember } from './membership.ts'
import type { Place, Pools } from './pools.ts'
import type { Role } from './role.ts'
import type { Session } from './session.ts'

const { escapeIdentifier: quote, escapeLiteral: literal } = pg

/**
 * Rolls back what the role prepared (PREPARE TRANSACTION), in every database: it outlives its
 * session, holds its locks for ever and could still commit.
 */
export async function rollBackPrepared(
  pools: Pools,
  place: Place,
  session: Session,
  role: Role,
): Promise<void> {
  const databases = await session.rows<{ name: string; here: boolean }>(
    `SELECT DISTINCT database::text AS name, database = current_database() AS here
     FROM pg_prepared_xacts WHERE owner = $1`,
    [role.name],
  )
  for (const { name, here } of databases) {
    if (here) await rollBackHere(session, role)
    else {
      await pools.use({ ...place, database: name }, session.signal, (other) =>
        rollBackHere(other, role),
      )
    }
  }
}

/** Only the role itself, or a superuser, may do it, and not within a transaction. */
async function rollBackHere(session: Session, role: Role): Promise<void> {
  const prepared = await session.rows<{ gid: string }>(
    'SELECT gid FROM pg_prepared_xacts WHERE owner = $1 AND database = current_database()',
    [role.name],
  )
  if (!session.admin.super) {
    await becomeMember(session, role.name)
    await session.run(`SET ROLE ${quote(role.name)}`)
  }
  for (const { gid } of prepared) await session.run(`ROLLBACK PREPARED ${literal(gid)}`)
  if (!session.admin.super) await session.run('RESET ROLE')
}
