import pg from 'pg'
import { BrokerError } from '../../errors.ts'
import { cleanUp } from './clean-up.ts'
import { asFailure, codeOf, isConflict } from './failure.ts'
import type { Place, Pools } from './pools.ts'
import type { Role } from './role.ts'
import type { Session } from './session.ts'
import { endSessions } from './sessions.ts'

const { escapeIdentifier: quote } = pg
const PASSES = 3

/** Cleans this database and each other in which the role holds something, then drops the role. */
export async function dropEverywhere(
  pools: Pools,
  place: Place,
  session: Session,
  role: Role,
): Promise<readonly string[]> {
  const notes: string[] = []
  for (let pass = 1; ; pass++) {
    for (const database of await databasesOf(session, role)) {
      notes.push(...(await cleanOne(pools, place, session, role, database)))
    }
    await endSessions(session, [role]) // a login that was half-way when it was forbidden
    try {
      await session.run(`DROP ROLE IF EXISTS ${quote(role.name)}`)
      return notes
    } catch (error) {
      const conflict = isConflict(error) // another revocation drops it at this moment
      if (!conflict && codeOf(error) !== '2BP01') throw error
      if (pass === PASSES) throw conflict ? error : await undroppable(session, role, error)
    }
  }
}

/** DROP OWNED takes back only what the admin, or a role it belongs to, could have granted. */
async function undroppable(session: Session, role: Role, cause: unknown): Promise<BrokerError> {
  const databases = (await databasesOf(session, role)).map(({ name }) => name)
  const where = databases.map((name) => JSON.stringify(name)).join(', ')
  return new BrokerError(
    'provider_failed',
    `"${role.name}" cannot log in any more, but "${session.admin.name}" may not take back all that others granted it`,
    {
      hint: `as a superuser run in ${where}: DROP OWNED BY ${quote(role.name)};`,
      details: { connection: session.connection, role: role.name, databases, sqlstate: '2BP01' },
      cause,
    },
  )
}

interface Database {
  readonly name: string
  readonly here: boolean
}

/** This one first, then each in which the role owns something or was granted something. */
async function databasesOf(session: Session, role: Role): Promise<readonly Database[]> {
  return session.rows<Database>(
    `SELECT datname::text AS name, datname = current_database() AS here FROM pg_database
     WHERE datname = current_database()
        OR oid IN (SELECT dbid FROM pg_shdepend
                   WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1)
     ORDER BY here DESC, name`,
    [role.oid],
  )
}

async function cleanOne(
  pools: Pools,
  place: Place,
  session: Session,
  role: Role,
  database: Database,
): Promise<readonly string[]> {
  try {
    if (database.here) return await cleanUp(session, role)
    const there = { ...place, database: database.name }
    return await pools.use(there, session.signal, (other) => cleanUp(other, role))
  } catch (error) {
    if (codeOf(error) === '42704') return [] // another revocation finished it
    if (database.here || session.signal.aborted) throw error
    throw unclean(role.name, database.name, asFailure(error, place.connection))
  }
}

/** Access has ended; the rest has to be done again. */
export function unclean(role: string, database: string, why: BrokerError): BrokerError {
  return new BrokerError(
    'provider_failed',
    `"${role}" cannot log in any more, but database "${JSON.stringify(database).slice(1, -1)}" was not cleaned: ${why.message}`,
    {
      hint: why.hint,
      details: { ...why.details, role, database },
      cause: why.cause,
    },
  )
}
