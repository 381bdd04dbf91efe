import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { newInstallId, newLeaseId } from '../../src/lib/ids.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createPostgres } from '../../src/providers/postgres/provider.ts'
import type {
  Connection,
  Minted,
  Provider,
  Revocation,
  World,
} from '../../src/providers/provider.ts'
import type { Variables } from '../contract/provider-suite.ts'
import type { Postgres, Row } from '../fixtures/postgres.ts'

/** Who the broker is at the server. */
export type AdminKind = 'a superuser' | 'an admin that is no superuser'

export const KINDS: readonly AdminKind[] = ['a superuser', 'an admin that is no superuser']

export interface Live {
  readonly role: string
  readonly recipe: JsonObject
  readonly minted: Minted
  readonly variables: Variables
}

/** One database with an application's tables, an admin, and the provider in front of it. */
export interface Ground {
  readonly server: Postgres
  readonly database: string
  readonly provider: Provider
  readonly connection: Connection
  readonly installId: string
  world(signal?: AbortSignal): World
  mint(operations: readonly string[], target?: JsonObject): Promise<Live>
  revoke(live: Pick<Live, 'recipe' | 'minted'>): Promise<Revocation>
  /** As the superuser, in the ground's database. */
  sql(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Roles and sessions of the install id. */
  leftovers(): Promise<readonly string[]>
  dispose(): Promise<void>
}

const APPLICATION = [
  'REVOKE CREATE ON SCHEMA public FROM PUBLIC', // the default since version 15
  'CREATE SCHEMA private',
  'CREATE TABLE public.customers (id serial PRIMARY KEY, name text)',
  `INSERT INTO public.customers (name) VALUES ('ada'), ('bob')`,
  'CREATE TABLE public.orders (id int GENERATED ALWAYS AS IDENTITY, note text)',
  'CREATE VIEW public.names AS SELECT name FROM public.customers',
  'CREATE TABLE private.payroll (salary int)',
  'INSERT INTO private.payroll VALUES (42)',
]

export async function layGround(server: Postgres, kind: AdminKind): Promise<Ground> {
  const database = `app_${randomBytes(4).toString('hex')}`
  await server.createDatabase(database)
  const sql = (text: string, values: readonly unknown[] = []) =>
    server.query(text, values, database)
  for (const statement of APPLICATION) await sql(statement)
  const narrow = await server.createNarrowAdmin(database, ['public', 'private'])
  const url = kind === 'a superuser' ? server.adminUrl(database) : narrow.url(database)
  return ground(server, database, new Secret(url), sql)
}

function ground(server: Postgres, database: string, secret: Secret, sql: Ground['sql']): Ground {
  const provider = createPostgres()
  const connection: Connection = { name: 'pg-staging', secret, settings: {} }
  const installId = newInstallId(randomBytes)
  const world = (signal = AbortSignal.timeout(30_000)): World => ({
    now: Date.now,
    random: randomBytes,
    installId,
    issuer: 'https://broker.test',
    signer: () => Promise.reject(new Error('not needed')),
    signal,
  })
  return {
    server,
    database,
    provider,
    connection,
    installId,
    world,
    sql,
    async mint(operations, target = {}) {
      const request = {
        lease: newLeaseId(Date.now(), randomBytes),
        grant: 'db',
        environment: 'staging',
        operations: [...operations].sort(),
        target: provider.parseTarget(target),
        notAfter: Date.now() + 600_000,
        principal: 'alice',
      }
      const recipe = provider.plan(request, installId, connection)
      const minted = await provider.mint(request, recipe, connection, world())
      return { role: String(recipe['role']), recipe, minted, variables: minted.variables.reveal() }
    },
    revoke: (live) => provider.revoke(live.recipe, live.minted.handle, connection, world()),
    leftovers: () => leftoversOf(server, installId),
    dispose: async () => {
      await provider.close?.()
      await server.dropDatabase(database)
    },
  }
}

/** The server's own ledger; a session's role may be gone while the session is not. */
export async function leftoversOf(server: Postgres, installId: string): Promise<readonly string[]> {
  const rows = await server.query(
    `SELECT 'role ' || rolname AS what FROM pg_roles WHERE starts_with(rolname, $1)
     UNION ALL SELECT 'session of ' || coalesce(usename, 'nobody') FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND usesysid IS NOT NULL -- null: not logged in yet
       AND (usename IS NULL OR starts_with(usename, $1))`,
    [`broker_${installId}_`],
  )
  return rows.map(({ what }) => String(what))
}

/** A client that knows the credential's variables and nothing else. */
export async function connectAs(variables: Variables, database?: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: variables['PGHOST'],
    port: Number(variables['PGPORT']),
    user: variables['PGUSER'],
    password: variables['PGPASSWORD'],
    database: database ?? variables['PGDATABASE'],
    ssl: false,
  })
  client.on('error', () => {}) // being cut off is what many of these tests are about
  await client.connect()
  return client
}

export async function queryAs(
  variables: Variables,
  text: string,
  database?: string,
): Promise<Row[]> {
  const client = await connectAs(variables, database)
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** Waits for a condition, not for a time. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never came true: ${what}`)
    await sleep(10)
  }
}

export async function isAlive(client: pg.Client): Promise<boolean> {
  try {
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  }
}
