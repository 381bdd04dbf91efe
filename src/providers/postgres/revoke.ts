import pg from 'pg'
import { BrokerError } from '../../errors.ts'
import type { Revocation } from '../provider.ts'
import { cleanUp } from './clean-up.ts'
import { cutOff, endGhosts, endSessions, findRole, type Role } from './cut-off.ts'
import { asFailure, codeOf } from './failure.ts'
import type { Place, Pools } from './pools.ts'
import { rollBackPrepared } from './prepared.ts'
import type { Recipe } from './recipe.ts'
import type { Session } from './session.ts'
import { exclusively } from './transaction.ts'
import { addressOf } from './url.ts'

const { escapeIdentifier: quote } = pg
const PASSES = 3
/** This one database cannot be entered, though the server answers. */
const CLOSED = /^(3D000|55000|42501|53300|28000)$/

interface Entry {
  readonly session: Session
  /** Why the recipe's own database could not be entered; null if it was. */
  readonly refusal: BrokerError | null
}

/**
 * Ends a role for good: no login, no session, nothing owned, no role. Every step finds out for
 * itself what is left to do, so it may be repeated from any point, also by two callers at once.
 * `oid` is the minted role's, or null when the mint was interrupted.
 */
export async function revokeRole(
  pools: Pools,
  place: Place,
  recipe: Recipe,
  oid: number | null,
  signal: AbortSignal,
): Promise<Revocation> {
  const { session, refusal } = await enter(pools, place, recipe, signal)
  try {
    const outcome = await end(pools, place, session, recipe, oid, refusal)
    session.end()
    return outcome
  } catch (error) {
    session.end(true)
    throw asFailure(signal.aborted ? signal.reason : error, place.connection)
  }
}

/**
 * Enters the database of the mint, where its lock is; if that one is closed, another: roles are the
 * whole server's, and ending access must not wait for one database.
 */
async function enter(
  pools: Pools,
  place: Place,
  recipe: Recipe,
  signal: AbortSignal,
): Promise<Entry> {
  let refusal: BrokerError | null = null
  for (const database of new Set([recipe.database, place.database, 'postgres'])) {
    try {
      return { session: await pools.open({ ...place, database }, signal), refusal }
    } catch (error) {
      const failure = asFailure(error, place.connection)
      if (!CLOSED.test(codeOf(failure) ?? '')) throw failure
      refusal ??= failure
    }
  }
  throw refusal
}

async function end(
  pools: Pools,
  place: Place,
  session: Session,
  recipe: Recipe,
  oid: number | null,
  refusal: BrokerError | null,
): Promise<Revocation> {
  const dropped = codeOf(refusal) === '3D000' // and with the database went all that was in it
  const role =
    (await findRole(session, recipe.role)) ?? (await findCommitting(session, recipe.role))
  if (!role) {
    if (refusal && !dropped) throw refusal // the mint's lock is in there: absence is not proven
    refuseElsewhere(place, recipe)
    await endGhosts(session, recipe.role, oid)
    return { outcome: 'absent' }
  }
  const unblock = () => rollBackPrepared(pools, place, session, role)
  await cutOff(session, role, unblock)
  if (refusal && !dropped) throw unclean(recipe, recipe.database, refusal)
  await unblock()
  const notes = await cleanEverywhere(pools, place, session, role)
  await endGhosts(session, role.name, role.oid)
  return { outcome: 'revoked', notes }
}

/** A mint whose client died may be committing: whoever gets its lock sees what became of it. */
async function findCommitting(session: Session, name: string): Promise<Role | null> {
  return exclusively(session, () => findRole(session, name))
}

/** "Not there" on another server than the role was made on says nothing about it. */
function refuseElsewhere({ connection, server }: Place, recipe: Recipe): void {
  if (recipe.address === null || recipe.address === addressOf(server)) return
  throw new BrokerError(
    'provider_failed',
    `"${recipe.role}" was made at "${recipe.address}", "${connection}" leads elsewhere now`,
    {
      hint: `point the connection back there, or drop the role by hand at the old server`,
      details: { connection, role: recipe.role, address: recipe.address },
    },
  )
}

/** Cleans this database and each other in which the role holds something, then drops the role. */
async function cleanEverywhere(
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
      if (codeOf(error) !== '2BP01') throw error
      if (pass === PASSES) throw await undroppable(session, role, error)
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
    throw unclean({ role: role.name }, database.name, asFailure(error, place.connection))
  }
}

function unclean({ role }: Pick<Recipe, 'role'>, database: string, why: BrokerError): BrokerError {
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
