import pg from 'pg'
import type { Finding } from '../provider.ts'
import type { Session } from './session.ts'

const { escapeIdentifier: quote } = pg
const SHOWN = 10
/** Not the server's own schemas. */
const OWN = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`

/**
 * What PUBLIC may do, and so every lease beside its grants. Each finding has the exact REVOKE, which
 * is the admin's to run: others may rely on these rights.
 */
export async function publicRights(session: Session): Promise<readonly Finding[]> {
  return [
    ...(await otherDatabases(session)),
    ...(await creatableSchemas(session)),
    ...(await definerRoutines(session)),
    ...(await publicTables(session)),
    ...(await temporaryTables(session)),
  ]
}

async function names(session: Session, text: string): Promise<readonly string[]> {
  return (await session.rows<{ name: string }>(text)).map(({ name }) => name)
}

function finding(
  level: 'note' | 'warning',
  message: string,
  found: readonly string[],
  statement: (name: string) => string,
): readonly Finding[] {
  if (found.length === 0) return []
  const shown = found.slice(0, SHOWN)
  const more = found.length > SHOWN ? ` and ${found.length - SHOWN} more` : ''
  const listed = `${shown.map((name) => JSON.stringify(name)).join(', ')}${more}`
  return [
    {
      level,
      message: `${message}: ${listed}`,
      hint: `run if nothing needs it: ${shown.map(statement).join(' ')}`,
    },
  ]
}

async function otherDatabases(session: Session): Promise<readonly Finding[]> {
  const found = await names(
    session,
    `SELECT datname::text AS name FROM pg_database d
     WHERE datallowconn AND datname <> current_database() AND EXISTS (
       SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a
       WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT') ORDER BY 1`,
  )
  return finding(
    'warning',
    'every lease may also connect to other databases of this server',
    found,
    (name) => `REVOKE CONNECT ON DATABASE ${quote(name)} FROM PUBLIC;`,
  )
}

async function creatableSchemas(session: Session): Promise<readonly Finding[]> {
  const found = await names(
    session,
    `SELECT nspname::text AS name FROM pg_namespace n
     WHERE ${OWN} AND EXISTS (
       SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
       WHERE a.grantee = 0 AND a.privilege_type = 'CREATE') ORDER BY 1`,
  )
  return finding(
    'warning',
    'every lease may create tables and functions in schemas open to PUBLIC',
    found,
    (name) => `REVOKE CREATE ON SCHEMA ${quote(name)} FROM PUBLIC;`,
  )
}

async function definerRoutines(session: Session): Promise<readonly Finding[]> {
  const found = await names(
    session,
    `SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
     WHERE prosecdef AND ${OWN} AND EXISTS (
       SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a
       WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') ORDER BY 1`,
  )
  return finding(
    'warning',
    "every lease may run routines with their owner's rights (SECURITY DEFINER)",
    found,
    (name) => `REVOKE EXECUTE ON ROUTINE ${name} FROM PUBLIC;`,
  )
}

async function publicTables(session: Session): Promise<readonly Finding[]> {
  const found = await names(
    session,
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND ${OWN} AND EXISTS (
       SELECT FROM aclexplode(relacl) a WHERE a.grantee = 0) ORDER BY 1`,
  )
  return finding(
    'warning',
    'every lease has the rights that PUBLIC has on tables',
    found,
    (name) => `REVOKE ALL ON TABLE ${name} FROM PUBLIC;`,
  )
}

async function temporaryTables(session: Session): Promise<readonly Finding[]> {
  const found = await names(
    session,
    `SELECT datname::text AS name FROM pg_database d
     WHERE datname = current_database() AND EXISTS (
       SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a
       WHERE a.grantee = 0 AND a.privilege_type = 'TEMPORARY')`,
  )
  return finding(
    'note',
    'every lease may make temporary tables in',
    found,
    (name) => `REVOKE TEMPORARY ON DATABASE ${quote(name)} FROM PUBLIC;`,
  )
}
