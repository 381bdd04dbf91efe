import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection } from '../../src/providers/provider.ts'
import { type Bench, type HeldMint, providerContract } from '../contract/provider-suite.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import {
  connectAs,
  type Ground,
  isAlive,
  KINDS,
  layGround,
  leftoversOf,
  queryAs,
  until,
} from './postgres-bench.ts'

describe.skipIf(postgresMissing())('against a real PostgreSQL', () => {
  let server: Postgres
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.dispose())

  for (const kind of KINDS) {
    providerContract(`postgres (as ${kind})`, async () => {
      const ground = await layGround(server, kind)
      return bench(server, ground)
    })
  }
})

function bench(server: Postgres, ground: Ground): Bench {
  return {
    provider: ground.provider,
    connection: ground.connection,
    target: { schemas: ['public'], connectionLimit: 4 },
    operations: ['INSERT', 'SELECT'],
    use: (variables) =>
      queryAs(variables, `INSERT INTO public.customers (name) SELECT max(name) FROM public.names`),
    overreach: {
      'change rows': (it) => queryAs(it, 'UPDATE public.customers SET name = NULL'),
      'delete rows': (it) => queryAs(it, 'DELETE FROM public.customers'),
      'empty a table': (it) => queryAs(it, 'TRUNCATE public.orders'),
      'drop a table': (it) => queryAs(it, 'DROP TABLE public.orders'),
      'read another schema': (it) => queryAs(it, 'SELECT * FROM private.payroll'),
      'read password hashes': (it) => queryAs(it, 'SELECT * FROM pg_authid'),
      'make a role': (it) => queryAs(it, 'CREATE ROLE friend LOGIN'),
      'make a database': (it) => queryAs(it, 'CREATE DATABASE mine'),
      'make a table': (it) => queryAs(it, 'CREATE TABLE public.mine ()'),
      'add a trigger': (it) =>
        queryAs(
          it,
          'CREATE TRIGGER t AFTER INSERT ON public.orders EXECUTE FUNCTION suppress_redundant_updates_trigger()',
        ),
      'live longer': (it) => queryAs(it, `ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'`),
      'end the admin': (it) =>
        queryAs(
          it,
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'broker'`,
        ),
    },
    async open(variables) {
      const client = await connectAs(variables)
      // In a transaction that holds locks: those must not keep the revocation waiting.
      await client.query(`BEGIN; INSERT INTO public.customers (name) VALUES ('open')`)
      return { alive: () => isAlive(client), close: () => client.end().catch(() => {}) }
    },
    leftovers: (installId) => leftoversOf(server, installId),
    hold: () => holdMint(server, ground),
    broken: (canary) => broken(server, ground, canary),
    dispose: ground.dispose,
  }
}

/** An uncommitted change of the table's catalog row stops the mint at its GRANT, the role half made. */
async function holdMint(server: Postgres, ground: Ground): Promise<HeldMint> {
  const { host, port, password } = server
  const holder = new pg.Client({
    host,
    port,
    user: 'postgres',
    password,
    database: ground.database,
    ssl: false,
  })
  await holder.connect()
  await holder.query('BEGIN; GRANT REFERENCES ON public.customers TO pg_monitor')
  const waiting = `SELECT pid FROM pg_stat_activity WHERE application_name = 'broker'
                   AND datname = $1 AND wait_event_type = 'Lock' AND query LIKE 'GRANT %'`
  return {
    reached: () =>
      until(
        'the mint waits',
        async () => (await ground.sql(waiting, [ground.database])).length > 0,
      ),
    async cut() {
      await ground.sql(`SELECT pg_terminate_backend(pid) FROM (${waiting}) w`, [ground.database])
    },
    async release() {
      await holder.query('ROLLBACK')
      await holder.end()
    },
  }
}

function broken(server: Postgres, ground: Ground, canary: string): readonly Connection[] {
  const { host, port } = server
  const urls = [
    `postgresql://postgres:${canary}@${host}:${port}/${ground.database}`,
    `postgresql://postgres:${canary}@${host}:1/${ground.database}`,
    `postgresql://postgres:pw?${canary}@${host}:${port}/${ground.database}`,
    `postgresql://postgres:12?${canary}@${host}:${port}/${ground.database}`,
    `postgresql://postgres:pw#${canary}@${host}:${port}/${ground.database}`,
    `postgresql://postgres:pw/${canary}@${host}:${port}/${ground.database}`,
    `postgresql://postgres:pw@${canary}@${host}:${port}/${ground.database}`,
    `postgresql://postgres:${canary}%zz@${host}:${port}/${ground.database}`,
    `postgresql://postgres:${canary}\n\0@${host}:${port}/${ground.database}`,
    `mysql://postgres:${canary}@${host}:${port}/${ground.database}`,
    `host=${host} password=${canary}`,
    canary,
  ]
  return urls.map((url) => ({ name: 'pg-staging', secret: new Secret(url), settings: {} }))
}
