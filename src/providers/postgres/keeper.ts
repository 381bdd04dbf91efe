import pg from 'pg'
import { BrokerError } from '../../errors.ts'
import { becomeMember } from './membership.ts'
import type { Session } from './session.ts'

const { escapeIdentifier: quote } = pg

/**
 * Makes sure that the powerless role is there and powerless. Never the admin itself: what an agent
 * wrote to run with its owner's rights would run with the admin's. Throws `provider_failed` when
 * somebody gave it power.
 */
export async function ensureKeeper(session: Session, keeper: string): Promise<void> {
  const [found] = await session.rows<{ powerful: boolean }>(
    `SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
            OR EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid) AS powerful
     FROM pg_roles r WHERE rolname = $1`,
    [keeper],
  )
  if (found?.powerful) {
    throw new BrokerError('provider_failed', `role "${keeper}" is not powerless any more`, {
      hint: 'take its attributes and memberships away: it owns what leases left behind',
      details: { connection: session.connection, role: keeper },
    })
  }
  if (!found) {
    await session.run(
      `CREATE ROLE ${quote(keeper)} NOLOGIN NOSUPERUSER NOINHERIT NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS`,
    )
  }
  await becomeMember(session, keeper)
}
