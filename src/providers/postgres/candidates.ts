import type { NarrownessRequest } from '../provider.ts'
import { listTables } from './relations.ts'
import type { Session } from './session.ts'
import { targetFrom } from './target.ts'

/** Of each kind. Those that the server says are open come first, so none of them is missed. */
const SAMPLE = 5

/** What a role was not granted, on one table. */
export interface TableCandidate {
  readonly schema: string
  readonly name: string
  /** A column to name in an UPDATE; null for a table without any. */
  readonly column: string | null
  readonly action: 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'DROP TABLE'
  /** One of the grant's own tables. */
  readonly inside: boolean
  /** The server says that it would work: by a right of PUBLIC, since the role has no other. */
  readonly open: boolean
  /** How many tables are open like this. */
  readonly openCount: number
}

/** All that is worth trying with a role: it must be refused. */
export interface Candidates {
  readonly role: string
  readonly admin: string
  readonly tables: readonly TableCandidate[]
  readonly schemas: readonly string[]
  readonly databases: readonly string[]
}

export async function listCandidates(
  session: Session,
  role: string,
  request: NarrownessRequest,
): Promise<Candidates> {
  return {
    role,
    admin: session.admin.name,
    tables: await tableCandidates(session, role, request),
    schemas: await names(
      session,
      `SELECT nspname::text AS name FROM pg_namespace
       WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
       ORDER BY has_schema_privilege($1::name, oid, 'CREATE') DESC, nspname LIMIT $2`,
      role,
    ),
    databases: await names(
      session,
      `SELECT datname::text AS name FROM pg_database
       WHERE datallowconn AND datname <> current_database()
       ORDER BY has_database_privilege($1::name, oid, 'CONNECT') DESC, datname LIMIT $2`,
      role,
    ),
  }
}

async function tableCandidates(
  session: Session,
  role: string,
  { operations, target }: NarrownessRequest,
): Promise<readonly TableCandidate[]> {
  const granted = await listTables(session, operations, targetFrom(target))
  return session.rows<TableCandidate>(
    `WITH pair AS (
       SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, action,
              c.oid = ANY ($2::oid[]) AS inside,
              CASE WHEN action = 'DROP TABLE' THEN pg_has_role($1::name, c.relowner, 'USAGE')
                     OR pg_has_role($1::name, n.nspowner, 'USAGE')
                   WHEN NOT has_schema_privilege($1::name, n.oid, 'USAGE') THEN false
                   WHEN action IN ('DELETE', 'TRUNCATE')
                   THEN has_table_privilege($1::name, c.oid, action)
                   ELSE has_any_column_privilege($1::name, c.oid, action) END AS open
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'DROP TABLE']) action
       WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
         AND (c.relkind IN ('r', 'p') OR c.relkind IN ('v', 'm') AND action = 'SELECT')
         AND NOT (c.oid = ANY ($2::oid[]) AND action = ANY ($3::text[]))
     ), ranked AS (
       SELECT *, row_number() OVER (PARTITION BY inside, action ORDER BY open DESC, oid) AS rank,
              (count(*) FILTER (WHERE open) OVER (PARTITION BY inside, action))::int4 AS "openCount"
       FROM pair
     )
     SELECT schema, name, action, inside, open, "openCount",
            (SELECT attname::text FROM pg_attribute
             WHERE attrelid = ranked.oid AND attnum > 0 AND NOT attisdropped
             ORDER BY has_column_privilege($1::name, ranked.oid, attnum, 'UPDATE') DESC, attnum
             LIMIT 1) AS column
     FROM ranked WHERE rank <= $4 ORDER BY inside DESC, action, rank`,
    [role, granted.map(({ oid }) => oid), operations, SAMPLE],
  )
}

async function names(session: Session, text: string, role: string): Promise<readonly string[]> {
  return (await session.rows<{ name: string }>(text, [role, SAMPLE])).map(({ name }) => name)
}
