import type { Narrowness } from '../guard.ts'
import type { NarrownessRequest, World } from '../provider.ts'
import type { Place, Pools } from './pools.ts'
import { probe } from './probe.ts'
import { type TableName, type Target, targetFrom } from './target.ts'
import { words } from './words.ts'

const CHANGES: readonly string[] = ['UPDATE', 'DELETE', 'TRUNCATE']

/**
 * What holds of a grant: by the roles and privileges of PostgreSQL ("Privileges", "Row Security
 * Policies", "CREATE ROLE"), and with `probe` also by trying. No statement passes the broker, so
 * what privileges leave open nobody closes.
 */
export async function narrowness(
  pools: Pools,
  place: Place,
  request: NarrownessRequest,
  world: World,
): Promise<readonly Narrowness[]> {
  const known = documented(request.operations, targetFrom(request.target), place.database)
  if (!request.probe) return known
  return [...known, ...(await probe(pools, place, request, world))]
}

function documented(
  operations: readonly string[],
  target: Target,
  database: string,
): readonly Narrowness[] {
  return [...held(operations, target, database), ...open(operations, target)]
}

function held(operations: readonly string[], target: Target, database: string): Narrowness[] {
  const where = `of database ${JSON.stringify(target.database ?? database)}`
  return [
    by('provider', `${words(operations)} on ${reachOf(target)} ${where}, by grants to one role`),
    by(
      'provider',
      'that role is no member of others and may make neither roles nor databases; row security applies to it',
    ),
    by(
      'provider',
      `it logs in until the lease ends (VALID UNTIL), ${target.connectionLimit} times at once; then its sessions are cut and it is dropped`,
    ),
  ]
}

function open(operations: readonly string[], { tables }: Target): Narrowness[] {
  const changes = CHANGES.filter((name) => operations.includes(name))
  const findings: Narrowness[] = []
  const nobody = (message: string) => findings.push(by('nobody', message))
  if (operations.includes('SELECT')) {
    nobody('how much is read: every row of these tables may be, and what was read stays read')
    nobody('what a granted view shows: it reads other tables with the rights of its owner')
  }
  if (operations.includes('INSERT')) nobody('how many rows are added, and what is in them')
  if (changes.length > 0) {
    nobody(`which rows are changed: one ${changes.join(' or ')} may reach all of a table`)
  }
  if (operations.includes('TRIGGER')) {
    nobody('who runs a trigger: it has the rights of whoever changes the table next')
  }
  if (operations.includes('REFERENCES')) {
    nobody('where foreign keys point: one can keep others from deleting rows')
  }
  if (tables === null) {
    nobody(
      'which tables come later: the next lease covers them by itself, unless broker.yaml lists tables',
    )
  }
  nobody(
    "the rights of PUBLIC, which every lease has too: other databases and schemas, functions that run as their owner, the catalogue's names",
  )
  return findings
}

function reachOf({ schemas, tables }: Target): string {
  if (tables === null) {
    const names = schemas.map((schema) => JSON.stringify(schema))
    return `every table there is now in ${names.length === 1 ? 'schema' : 'schemas'} ${words(names)}`
  }
  const names = tables.map((table) => JSON.stringify(nameOf(table)))
  return `${names.length === 1 ? 'table' : 'tables'} ${words(names)}`
}

function nameOf({ schema, name }: TableName): string {
  return schema === null ? name : `${schema}.${name}`
}

function by(who: Narrowness['by'], message: string): Narrowness {
  return { by: who, message, probed: false }
}
