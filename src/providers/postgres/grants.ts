import pg from 'pg'
import { listSequences, listTables, type Relation } from './relations.ts'
import type { Session } from './session.ts'
import type { Target } from './target.ts'

const { escapeIdentifier: quote } = pg

interface Granted {
  readonly privilege: string
  readonly effective: number
  readonly wanted: number
}

/** What a role was given, for the notes and for refusing a mint that gave nothing. */
export interface Outcome {
  /** Tables that exist and were asked for. */
  readonly tables: number
  readonly granted: readonly Granted[]
  readonly missingSchemas: readonly string[]
  readonly missingTables: readonly string[]
  readonly mayConnect: boolean
  /** Sequences behind the tables that the admin may not pass on. */
  readonly missedSequences: number
}

/** Gives `role` the operations on the target's tables, and finds out what really took effect. */
export async function grant(
  session: Session,
  role: string,
  operations: readonly string[],
  target: Target,
): Promise<Outcome> {
  await grantConnect(session, role)
  const schemas = await grantSchemas(session, role, target.schemas)
  const tables = await listTables(session, operations, target)
  await grantAll(session, role, 'TABLE', tables)
  const sequences = await listSequences(session, operations, target, tables)
  await grantAll(session, role, 'SEQUENCE', sequences)
  return {
    tables: tables.length,
    granted: await effective(session, role, operations, tables),
    missingSchemas: target.schemas.filter((schema) => !schemas.includes(schema)),
    missingTables: missing(target, tables),
    mayConnect: await mayConnect(session, role),
    missedSequences: sequences.filter(({ grantable }) => grantable.length === 0).length,
  }
}

async function mayConnect(session: Session, role: string): Promise<boolean> {
  const [row] = await session.rows<{ may: boolean }>(
    `SELECT has_database_privilege($1::name, current_database(), 'CONNECT') AS may`,
    [role],
  )
  return row?.may === true
}

/** Only where PUBLIC may not: every grant rewrites the database's one catalog row. */
async function grantConnect(session: Session, role: string): Promise<void> {
  if (await mayConnect(session, role)) return
  const [database] = await session.rows<{ name: string; may: boolean }>(
    `SELECT current_database() AS name,
            has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION') AS may`,
  )
  if (!database?.may) return
  await session.run(`GRANT CONNECT ON DATABASE ${quote(database.name)} TO ${quote(role)}`)
}

/** The schemas that exist. */
async function grantSchemas(
  session: Session,
  role: string,
  wanted: readonly string[],
): Promise<readonly string[]> {
  const schemas = await session.rows<{ name: string; has: boolean; may: boolean }>(
    `SELECT nspname::text AS name, has_schema_privilege($2::name, oid, 'USAGE') AS has,
            has_schema_privilege(oid, 'USAGE WITH GRANT OPTION') AS may
     FROM pg_namespace WHERE nspname = ANY ($1::name[])`,
    [wanted, role],
  )
  const open = schemas.filter(({ has, may }) => may && !has).map(({ name }) => quote(name))
  if (open.length > 0)
    await session.run(`GRANT USAGE ON SCHEMA ${open.join(', ')} TO ${quote(role)}`)
  return schemas.map(({ name }) => name)
}

/** One statement for all relations with the same set of privileges to pass on. */
async function grantAll(
  session: Session,
  role: string,
  kind: 'TABLE' | 'SEQUENCE',
  relations: readonly Relation[],
): Promise<void> {
  const sets = Map.groupBy(relations, ({ grantable }) => grantable.join(', '))
  for (const [privileges, members] of sets) {
    if (privileges === '') continue // asking for it would be an error, and end the transaction
    const names = members.map(({ schema, name }) => `${quote(schema)}.${quote(name)}`)
    await session.run(`GRANT ${privileges} ON ${kind} ${names.join(', ')} TO ${quote(role)}`)
  }
}

/** The server only warns about what it did not grant, so it is asked what the role can do now. */
async function effective(
  session: Session,
  role: string,
  operations: readonly string[],
  tables: readonly Relation[],
): Promise<readonly Granted[]> {
  return session.rows<Granted>(
    `SELECT p AS privilege, count(*)::int4 AS wanted, count(*) FILTER (
              WHERE has_table_privilege($1::name, c.oid, p)
                AND has_schema_privilege($1::name, c.relnamespace, 'USAGE'))::int4 AS effective
     FROM pg_class c, unnest($3::text[]) p WHERE c.oid = ANY ($2::oid[]) GROUP BY p ORDER BY p`,
    [role, tables.map(({ oid }) => oid), operations],
  )
}

function missing({ tables }: Target, found: readonly Relation[]): readonly string[] {
  const wanted = tables ?? []
  const here = (schema: string | null, name: string) =>
    found.some((table) => table.name === name && (schema === null || table.schema === schema))
  return wanted
    .filter(({ schema, name }) => !here(schema, name))
    .map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`))
}
