import { nearest } from '../../core/names.ts'
import { BrokerError } from '../../errors.ts'
import type { Json, JsonObject } from '../../lib/json.ts'

/** A table as broker.yaml names it; without a schema it is looked for in all of the target's. */
export interface TableName {
  readonly schema: string | null
  readonly name: string
}

export interface Target {
  readonly schemas: readonly string[]
  /** Null: every table of the schemas. */
  readonly tables: readonly TableName[] | null
  /** Null: the database of the connection's URL. */
  readonly database: string | null
  readonly connectionLimit: number
}

const KEYS = ['schemas', 'tables', 'database', 'connectionLimit']
const DEFAULT_CONNECTIONS = 5
const MOST_CONNECTIONS = 1000
/** NAMEDATALEN - 1 (PostgreSQL, "Identifiers and Key Words"). */
const MOST_BYTES = 63
/** One part: quoted as in SQL, or plain up to the dot and taken literally. */
const PARTS = /^(?:("(?:[^"]|"")+"|[^".][^.]*)\.)?("(?:[^"]|"")+"|[^".][^.]*)$/

/**
 * Checks a binding's settings. Names are taken literally: they end up quoted, never spliced in as
 * they are. System schemas are refused, since a superuser's grant there would open password hashes.
 */
export function parseTarget(target: JsonObject): Target {
  for (const key of Object.keys(target)) {
    if (KEYS.includes(key)) continue
    const near = nearest(key, KEYS)
    throw invalid(
      [key],
      `a postgres target has no "${key}"`,
      near ? `did you mean "${near}"?` : `it has ${KEYS.join(', ')}`,
    )
  }
  const tables =
    target['tables'] === undefined ? null : names(target['tables'], 'tables').map(tableName)
  return {
    schemas: schemasOf(target, tables),
    tables,
    database: databaseOf(target['database']),
    connectionLimit: limitOf(target['connectionLimit']),
  }
}

/** The target as plain JSON and back: what `parseTarget` of the port returns is data. */
export function targetFrom(json: JsonObject): Target {
  return json as unknown as Target
}

function schemasOf(target: JsonObject, tables: readonly TableName[] | null): readonly string[] {
  const named = (tables ?? []).flatMap(({ schema }) => (schema === null ? [] : [schema]))
  if (target['schemas'] === undefined) {
    const plain = tables?.every(({ schema }) => schema !== null) ? [] : ['public']
    return [...new Set([...plain, ...named])]
  }
  const schemas = names(target['schemas'], 'schemas')
  for (const [index, schema] of schemas.entries()) refuseSystem(schema, ['schemas', index])
  tables?.forEach(({ schema }, index) => {
    if (schema === null || schemas.includes(schema)) return
    throw invalid(
      ['tables', index],
      `schema "${schema}" of a table is not among the schemas`,
      'add it to schemas, or drop the table',
    )
  })
  return [...new Set(schemas)]
}

function tableName(text: string, index: number): TableName {
  const [, schema, name] = PARTS.exec(text) ?? []
  if (name === undefined) {
    throw invalid(
      ['tables', index],
      `"${text}" is not a table name`,
      'write name, schema.name or "odd name", the quotes as in SQL',
    )
  }
  const plain = schema === undefined ? null : unquote(schema)
  if (plain !== null) refuseSystem(plain, ['tables', index])
  return { schema: plain, name: unquote(name) }
}

function unquote(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part
}

function refuseSystem(schema: string, path: readonly (string | number)[]): void {
  if (!schema.startsWith('pg_') && schema !== 'information_schema') return
  throw invalid(path, `schema "${schema}" belongs to the server itself`, 'name schemas of your own')
}

function names(value: Json | undefined, key: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid([key], `"${key}" must be a list of names`, `write ${key}: [name, name]`)
  }
  return value.map((name: Json, index) => checkedName(name, [key, index]))
}

function checkedName(name: Json | undefined, path: readonly (string | number)[]): string {
  const most = path[0] === 'tables' ? 4 * MOST_BYTES : MOST_BYTES
  if (
    typeof name === 'string' &&
    name !== '' &&
    !name.includes('\0') &&
    Buffer.byteLength(name) <= most
  ) {
    return name
  }
  throw invalid(
    path,
    `"${path[0]}" holds something that is not a name`,
    `a name is text of 1 to ${MOST_BYTES} bytes`,
  )
}

function databaseOf(value: Json | undefined): string | null {
  return value === undefined ? null : checkedName(value, ['database'])
}

function limitOf(value: Json | undefined): number {
  if (value === undefined) return DEFAULT_CONNECTIONS
  if (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value > 0 &&
    value <= MOST_CONNECTIONS
  )
    return value
  throw invalid(
    ['connectionLimit'],
    '"connectionLimit" must be a whole number of connections',
    `write 1 to ${MOST_CONNECTIONS}`,
  )
}

function invalid(path: readonly (string | number)[], message: string, hint: string): BrokerError {
  return new BrokerError('config_invalid', message, { hint, details: { path: [...path] } })
}
