import pg from 'pg'
import { sequencePrivileges } from './operations.ts'
import type { Session } from './session.ts'
import type { Target } from './target.ts'

const { escapeIdentifier: quote } = pg

interface Granted {
  readonly privilege: string
  readonly effective: number
  readonly wanted: number
}

interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** What the admin may pass on. */
  readonly grantable: readonly string[]
}

/** What a role was given, for the notes and for refusing a mint that gave nothing. */
export interface Outcome {
  /** Tables that exist and were asked for. */
  readonly tables: number
  readonly granted: readonly Granted[]
  readonly missingSchemas: readonly string[]
  readonly missingTables: readonly string[]
  readonly mayConnect: boolean
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
  await grantAll(
    session,
    role,
    'SEQUENCE',
    await listSequences(session, operations, target, tables),
  )
  return {
    tables: tables.length,
    granted: await effective(session, role, operations, tables),
    missingSchemas: target.schemas.filter((schema) => !schemas.includes(schema)),
    missingTables: missing(target, tables),
    mayConnect: await mayConnect(session, role),
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

/** Relations that GRANT calls tables: tables, partitioned tables, views, materialized views, foreign tables. */
async function listTables(
  session: Session,
  operations: readonly string[],
  { schemas, tables }: Target,
): Promise<readonly Relation[]> {
  return session.rows<Relation>(
    `SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name,
            ARRAY(SELECT p FROM unnest($2::text[]) p
                  WHERE has_table_privilege(c.oid, p || ' WITH GRANT OPTION')) AS grantable
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND ($3::text[] IS NULL OR EXISTS (
             SELECT FROM unnest($3::text[], $4::text[]) AS t (schema, name)
             WHERE t.name = c.relname AND coalesce(t.schema = n.nspname, true)))
     ORDER BY c.oid`,
    [schemas, operations, tables?.map((table) => table.schema), tables?.map((table) => table.name)],
  )
}

/** All sequences of the schemas; those of the listed tables alone when tables are listed. */
async function listSequences(
  session: Session,
  operations: readonly string[],
  { schemas, tables }: Target,
  listed: readonly Relation[],
): Promise<readonly Relation[]> {
  const wanted = sequencePrivileges(operations)
  if (wanted.length === 0) return []
  return session.rows<Relation>(
    `SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name,
            ARRAY(SELECT p FROM unnest($2::text[]) p
                  WHERE has_sequence_privilege(c.oid, p || ' WITH GRANT OPTION')) AS grantable
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::name[]) AND c.relkind = 'S'
       AND ($3::oid[] IS NULL OR EXISTS (
             SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($3::oid[])
               AND d.deptype IN ('a', 'i')))`,
    [schemas, wanted, tables === null ? null : listed.map(({ oid }) => oid)],
  )
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
