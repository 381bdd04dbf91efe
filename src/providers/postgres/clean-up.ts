import pg from 'pg'
import { ensureKeeper } from './keeper.ts'
import { becomeMember } from './membership.ts'
import { installOf, keeperName } from './names.ts'
import type { Role } from './role.ts'
import type { Session } from './session.ts'
import { exclusively } from './transaction.ts'

const { escapeIdentifier: quote } = pg
const SHOWN = 10

/**
 * Takes from `role` all that it owns and may do in the session's database. What it owns goes to the
 * keeper, disarmed. Returns notes on that. May be repeated; the role's sessions must have ended.
 */
export async function cleanUp(session: Session, role: Role): Promise<readonly string[]> {
  return exclusively(session, async () => {
    await becomeMember(session, role.name)
    const owned = await listOwned(session, role)
    if (owned.length > 0) await handOver(session, role)
    await session.run(`DROP OWNED BY ${quote(role.name)}`)
    return owned.length > 0 ? [await noteOn(session, role, owned)] : []
  })
}

/** Owned objects as the server describes them, those shared by all databases included. */
async function listOwned(session: Session, role: Role): Promise<readonly string[]> {
  const owned = await session.rows<{ what: string }>(
    `SELECT pg_describe_object(classid, objid, objsubid) AS what FROM pg_shdepend
     WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1 AND deptype = 'o'
       AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`,
    [role.oid],
  )
  return owned.map(({ what }) => what)
}

async function handOver(session: Session, role: Role): Promise<void> {
  const keeper = keeperName(installOf(role.name))
  await disarm(session, role)
  await ensureKeeper(session, keeper)
  const lent = await lendCreate(session, role, keeper)
  await session.run(`REASSIGN OWNED BY ${quote(role.name)} TO ${quote(keeper)}`)
  for (const schema of lent) {
    await session.run(`REVOKE CREATE ON SCHEMA ${quote(schema)} FROM ${quote(keeper)}`)
  }
}

/**
 * Routines and views that run with their owner's rights from now on run with their caller's. The
 * keeper owns what all leases left, so otherwise one lease's routine could open another's tables.
 */
async function disarm(session: Session, role: Role): Promise<void> {
  const routines = await session.rows<{ name: string }>(
    'SELECT oid::regprocedure::text AS name FROM pg_proc WHERE proowner = $1 AND prosecdef',
    [role.oid],
  )
  for (const { name } of routines) await session.run(`ALTER ROUTINE ${name} SECURITY INVOKER`)
  if (session.admin.version < 150_000) return // views cannot do that before
  const views = await session.rows<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class WHERE relowner = $1 AND relkind = 'v'`,
    [role.oid],
  )
  for (const { name } of views)
    await session.run(`ALTER VIEW ${name} SET (security_invoker = true)`)
}

/** A new owner needs CREATE on the schemas of routines; it has it for the length of a transaction. */
async function lendCreate(
  session: Session,
  role: Role,
  keeper: string,
): Promise<readonly string[]> {
  const schemas = await session.rows<{ name: string }>(
    `SELECT DISTINCT n.nspname::text AS name
     FROM pg_shdepend d, pg_identify_object(d.classid, d.objid, d.objsubid) o
     JOIN pg_namespace n ON n.nspname = o.schema
     WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = $1 AND d.deptype = 'o'
       AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND NOT has_schema_privilege($2::name, n.oid, 'CREATE')
       AND has_schema_privilege(n.oid, 'CREATE WITH GRANT OPTION')`,
    [role.oid, keeper],
  )
  for (const { name } of schemas) {
    await session.run(`GRANT CREATE ON SCHEMA ${quote(name)} TO ${quote(keeper)}`)
  }
  return schemas.map(({ name }) => name)
}

/** The names are the agent's own choice: JSON keeps them on one line. */
async function noteOn(session: Session, role: Role, owned: readonly string[]): Promise<string> {
  const [database] = await session.rows<{ name: string }>('SELECT current_database()::text AS name')
  const shown = owned.slice(0, SHOWN).map((what) => JSON.stringify(what.slice(0, 200)))
  const more = owned.length > SHOWN ? ` and ${owned.length - SHOWN} more` : ''
  const where = `in database ${JSON.stringify(database?.name)}`
  return `${owned.length} left behind ${where}, now of "${keeperName(installOf(role.name))}": ${shown.join(', ')}${more}`
}
