import pg from 'pg'
import { BrokerError } from '../../errors.ts'
import { newBearer } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'
import type { MintRequest, World } from '../provider.ts'
import { grant, type Outcome } from './grants.ts'
import { becomeMember } from './membership.ts'
import { catalogue } from './operations.ts'
import { scramVerifier } from './scram.ts'
import type { Session } from './session.ts'
import { targetFrom } from './target.ts'
import { exclusively } from './transaction.ts'

const { escapeIdentifier: quote, escapeLiteral: literal } = pg

export interface Login {
  readonly password: Secret
  /** The role's own id; it names the role's sessions even when the role is gone. */
  readonly oid: number
  readonly notes: readonly string[]
}

/** What of a request a role is made from. */
export type RoleRequest = Pick<MintRequest, 'grant' | 'operations' | 'target' | 'notAfter'>

/**
 * Makes the role and its grants in one transaction: either all of it can be used or nothing is there.
 * The password is ours alone; the server gets a verifier (see scram.ts).
 */
export async function mintRole(
  session: Session,
  role: string,
  request: RoleRequest,
  world: World,
): Promise<Login> {
  const target = targetFrom(request.target)
  const operations = request.operations.filter((operation) => catalogue.operations.has(operation))
  const password = new Secret(newBearer('', world.random))
  const create = createRole(
    role,
    target.connectionLimit,
    await scramVerifier(password, world.random),
    request.notAfter,
  )
  const { oid, outcome } = await exclusively(session, async () => {
    await session.run(create)
    // Now, while the role can do nothing yet: it could not be stopped from keeping us out later.
    if (!session.admin.super) await becomeMember(session, role)
    const outcome = await grant(session, role, operations, target)
    refuseEmpty(session, request, outcome) // inside: what is refused is rolled back
    return { oid: await oidOf(session, role), outcome }
  })
  return { password, oid, notes: notesOf(session, outcome) }
}

/** Every attribute is named: a default may change, an inherited right may not. */
function createRole(role: string, connections: number, verifier: string, notAfter: number): string {
  return `CREATE ROLE ${quote(role)} LOGIN NOSUPERUSER NOINHERIT NOCREATEROLE NOCREATEDB NOREPLICATION
    NOBYPASSRLS CONNECTION LIMIT ${Math.trunc(connections)} PASSWORD ${literal(verifier)}
    VALID UNTIL ${literal(new Date(notAfter).toISOString())}`
}

async function oidOf(session: Session, role: string): Promise<number> {
  const [row] = await session.rows<{ oid: number }>('SELECT oid FROM pg_roles WHERE rolname = $1', [
    role,
  ])
  return row?.oid ?? 0
}

function refuseEmpty(session: Session, request: RoleRequest, outcome: Outcome): void {
  const { connection, admin } = session
  const details = { connection, grant: request.grant }
  if (!outcome.mayConnect) {
    throw new BrokerError(
      'provider_failed',
      `"${admin.name}" may not let a role connect to the database of "${connection}"`,
      {
        hint: `as its owner run: GRANT CONNECT ON DATABASE … TO ${quote(admin.name)} WITH GRANT OPTION`,
        details,
      },
    )
  }
  const { schemas } = targetFrom(request.target)
  if (outcome.missingSchemas.length === schemas.length) {
    throw new BrokerError(
      'provider_failed',
      `the database of "${connection}" has no schema ${list(schemas)}`,
      {
        hint: 'correct schemas in broker.yaml',
        details,
      },
    )
  }
  if (outcome.tables === 0 && outcome.missingTables.length > 0) {
    throw new BrokerError(
      'provider_failed',
      `the database of "${connection}" has no table ${list(outcome.missingTables)}`,
      {
        hint: 'correct tables in broker.yaml',
        details,
      },
    )
  }
  if (outcome.tables > 0 && outcome.granted.every(({ effective }) => effective === 0)) {
    throw new BrokerError(
      'provider_failed',
      `"${admin.name}" may not grant anything on the tables of "${connection}"`,
      {
        hint: `use the role that owns them, or run as their owner: GRANT … ON ALL TABLES IN SCHEMA ${schemas.map(quote).join(', ')} TO ${quote(admin.name)} WITH GRANT OPTION`,
        details,
      },
    )
  }
}

function notesOf({ admin }: Session, outcome: Outcome): readonly string[] {
  const partly = outcome.granted.filter(({ effective, wanted }) => effective < wanted)
  return [
    ...outcome.missingSchemas.map((schema) => `schema ${list([schema])} does not exist`),
    ...outcome.missingTables.map((table) => `table ${list([table])} does not exist`),
    ...(outcome.tables === 0 ? ['there are no tables yet'] : []),
    ...partly.map(
      ({ privilege, effective, wanted }) =>
        `${privilege} was granted on ${effective} of ${wanted} tables: "${admin.name}" may not grant the others`,
    ),
    ...(outcome.missedSequences > 0
      ? [
          `${outcome.missedSequences} sequences could not be granted: inserts that draw from them fail`,
        ]
      : []),
    'tables created later are not covered: ask for a new lease after a migration',
  ]
}

/** JSON's quoting keeps a name on one line, whatever is in it. */
function list(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ')
}
