import { sequencePrivileges } from './operations.ts'
import type { Session } from './session.ts'
import type { Target } from './target.ts'

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** What the admin may pass on. */
  readonly grantable: readonly string[]
}

/** Relations that GRANT calls tables: tables, partitioned tables, views, materialized views, foreign tables. */
export async function listTables(
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
export async function listSequences(
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
