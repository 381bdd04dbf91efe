import pg from 'pg'
import type { Candidates, TableCandidate } from './candidates.ts'

const { escapeIdentifier: quote } = pg

/** One thing that must be refused. */
export interface Attempt {
  /** Attempts of one group and action are told together. */
  readonly group: 'role' | 'inside' | 'outside' | 'make'
  readonly action: string
  /** On what; null where the action says it all. */
  readonly on: string | null
  readonly statement: string
  /** SQLSTATEs that come only after the server's permission check was passed. */
  readonly passed?: RegExp
}

/** Nothing in them does harm where it is not refused: see `onTable`. */
export function attemptsOn({ role, admin, schemas, tables }: Candidates): readonly Attempt[] {
  const self = quote(role)
  const other = quote(`${role}_x`)
  return [
    { group: 'role', action: 'CREATE ROLE', on: null, statement: `CREATE ROLE ${other}` },
    {
      group: 'role',
      action: `SET ROLE ${JSON.stringify(admin)}`,
      on: null,
      statement: `SET LOCAL ROLE ${quote(admin)}`,
    },
    {
      group: 'role',
      action: 'a later VALID UNTIL',
      on: null,
      statement: `ALTER ROLE ${self} VALID UNTIL 'infinity'`,
    },
    ...schemas.map((schema) => ({
      group: 'make' as const,
      action: 'CREATE TABLE in schema',
      on: JSON.stringify(schema),
      statement: `CREATE TABLE ${quote(schema)}.${other} ()`,
    })),
    {
      group: 'make',
      action: 'CREATE TEMPORARY TABLE',
      on: null,
      statement: `CREATE TEMPORARY TABLE ${other} ()`,
    },
    ...tables.flatMap((table) => onTable(table, other)),
  ]
}

/**
 * INSERT, UPDATE and DELETE are planned and not run: the permission check is the same, and no
 * trigger fires. DROP and TRUNCATE also name a table that is not there, so that they fail where they
 * are permitted; each is checked for permission before the next name is looked at.
 */
function onTable(candidate: TableCandidate, absent: string): readonly Attempt[] {
  const { schema, name, column, action, inside, open } = candidate
  const table = `${quote(schema)}.${quote(name)}`
  const missing = `${quote(schema)}.${absent}`
  const statements = {
    SELECT: `SELECT FROM ${table} LIMIT 0`,
    INSERT: `EXPLAIN INSERT INTO ${table} DEFAULT VALUES`,
    UPDATE: column === null ? null : `EXPLAIN UPDATE ${table} SET ${quote(column)} = DEFAULT`,
    DELETE: `EXPLAIN DELETE FROM ${table}`,
    TRUNCATE: `TRUNCATE ${table}, ${missing}`,
    'DROP TABLE': `DROP TABLE ${table}, ${missing}`,
  }
  const statement = statements[action]
  if (statement === null) return []
  const twoNames = action === 'TRUNCATE' || action === 'DROP TABLE'
  return [
    {
      group: inside ? 'inside' : 'outside',
      action,
      on: JSON.stringify(`${schema}.${name}`),
      statement,
      // Only where the server expects it: the table itself may have gone since it was listed.
      ...(twoNames && open && { passed: /^(42P01|55P03)$/ }),
    },
  ]
}
