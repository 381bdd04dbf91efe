import pg from 'pg'
import type { Session } from './session.ts'

const { escapeIdentifier: quote } = pg

/**
 * Makes an admin that is no superuser a member of `role`, which is what ending its sessions and
 * dropping what it owns ask for. Before version 16 CREATEROLE suffices and membership inherits as
 * the member does; since then the maker of a role holds ADMIN on it and has to give itself the rest
 * (PostgreSQL 16, release notes and "GRANT on Roles"). May be repeated.
 */
export async function becomeMember(session: Session, role: string): Promise<void> {
  if (session.admin.super) return
  const separate = session.admin.version >= 160_000
  const [row] = await session.rows<{ member: boolean }>(
    `SELECT pg_has_role($1::name, 'USAGE') ${separate ? `AND pg_has_role($1::name, 'SET')` : ''} AS member`,
    [role],
  )
  if (row?.member) return
  const options = separate ? ' WITH INHERIT TRUE, SET TRUE' : ''
  await session.run(`GRANT ${quote(role)} TO ${quote(session.admin.name)}${options}`)
}
