import { execFileSync } from 'node:child_process'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { connectAs, type Ground, KINDS, layGround, queryAs, until } from './postgres-bench.ts'

const denied = { code: '42501' }

describe.skipIf(postgresMissing())('minting a role', () => {
  let server: Postgres
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.dispose())

  for (const kind of KINDS) {
    describe(`as ${kind}`, () => {
      let ground: Ground
      beforeEach(async () => {
        ground = await layGround(server, kind)
      })
      afterEach(() => ground.dispose())

      it('refuses when there is no such schema, and leaves no role', async () => {
        await expect(ground.mint(['SELECT'], { schemas: ['publik'] })).rejects.toMatchObject({
          code: 'provider_failed',
          message: 'the database of "pg-staging" has no schema "publik"',
        })
        expect(await ground.leftovers()).toEqual([])
      })

      it('refuses when there is none of the tables, and leaves no role', async () => {
        await expect(ground.mint(['SELECT'], { tables: ['customer'] })).rejects.toMatchObject({
          code: 'provider_failed',
          message: 'the database of "pg-staging" has no table "customer"',
        })
        expect(await ground.leftovers()).toEqual([])
      })

      it('refuses when there is no such database', async () => {
        await expect(ground.mint(['SELECT'], { database: 'nowhere' })).rejects.toMatchObject({
          code: 'provider_failed',
          message: 'the server of "pg-staging" has no such database',
          details: { sqlstate: '3D000' },
        })
      })

      it('refuses when a role of the name is there already', async () => {
        const live = await ground.mint(['SELECT'])
        const again = { ...live.recipe }
        const request = {
          lease: `lse_${'0'.repeat(26)}` as const,
          grant: 'db',
          environment: 'staging',
          operations: ['SELECT'],
          target: ground.provider.parseTarget({}),
          notAfter: Date.now(),
          principal: 'alice',
        }
        await expect(
          ground.provider.mint(request, again, ground.connection, ground.world()),
        ).rejects.toMatchObject({ code: 'provider_failed', details: { sqlstate: '42710' } })
        await queryAs(live.variables, 'SELECT * FROM customers') // and it still is as it was
        await ground.revoke(live)
      })

      it('makes a role that can do nothing but log in, a few times, until the lease ends', async () => {
        const before = Date.now()
        const { role } = await ground.mint(['SELECT'], { connectionLimit: 3 })
        const [row] = await ground.sql(
          `SELECT *, (extract(epoch FROM rolvaliduntil) * 1000)::float8 AS until FROM pg_roles WHERE rolname = $1`,
          [role],
        )
        expect(row).toMatchObject({
          rolcanlogin: true,
          rolsuper: false,
          rolinherit: false,
          rolcreaterole: false,
          rolcreatedb: false,
          rolreplication: false,
          rolbypassrls: false,
          rolconnlimit: 3,
        })
        expect(row?.['until']).toBeGreaterThan(before + 599_000)
        expect(row?.['until']).toBeLessThanOrEqual(Date.now() + 600_000)
      })

      it('is refused at login once its time is over', async () => {
        const live = await ground.mint(['SELECT'])
        await ground.sql(`ALTER ROLE "${live.role}" VALID UNTIL 'yesterday'`)
        await expect(connectAs(live.variables)).rejects.toMatchObject({ code: '28P01' })
      })

      it('is refused one connection more than its limit', async () => {
        const live = await ground.mint(['SELECT'], { connectionLimit: 1 })
        const first = await connectAs(live.variables)
        await expect(connectAs(live.variables)).rejects.toMatchObject({ code: '53300' })
        await first.end()
      })

      it('never lets the password or the admin URL reach the server log', async () => {
        const live = await ground.mint(['SELECT'])
        await queryAs(live.variables, 'SELECT 1')
        await until('the log has the mint', async () =>
          server.log().includes(`CREATE ROLE "${live.role}"`),
        )
        expect(server.log()).not.toContain(live.variables['PGPASSWORD'])
        expect(server.log()).not.toContain(server.password)
      })

      it('gives each operation and no other', async () => {
        const statements = {
          SELECT: 'SELECT * FROM orders',
          INSERT: `INSERT INTO customers (name) VALUES ('x')`,
          UPDATE: `UPDATE orders SET note = 'x'`,
          DELETE: 'DELETE FROM orders',
          TRUNCATE: 'TRUNCATE orders',
        }
        for (const operation of Object.keys(statements)) {
          const live = await ground.mint([operation])
          for (const [needed, statement] of Object.entries(statements)) {
            const doing = queryAs(live.variables, statement)
            if (needed === operation) await doing
            else await expect(doing, `${operation} lets ${needed}`).rejects.toMatchObject(denied)
          }
          await ground.revoke(live)
        }
      })

      it('lets nobody move a sequence back', async () => {
        const live = await ground.mint(['INSERT', 'SELECT', 'UPDATE'])
        await expect(
          queryAs(live.variables, `SELECT setval('customers_id_seq', 1)`),
        ).rejects.toMatchObject(denied)
      })

      it('passes on nothing it was given', async () => {
        const live = await ground.mint(['SELECT'])
        await queryAs(live.variables, 'GRANT SELECT ON customers TO PUBLIC') // a warning, no error
        const other = await ground.mint(['SELECT'], { tables: ['orders'] })
        await expect(queryAs(other.variables, 'SELECT * FROM customers')).rejects.toMatchObject(
          denied,
        )
      })

      it('reaches the listed tables and their sequences alone', async () => {
        const live = await ground.mint(['INSERT', 'SELECT'], { tables: ['public.customers'] })
        await queryAs(live.variables, `INSERT INTO customers (name) VALUES ('eve')`)
        await expect(queryAs(live.variables, 'SELECT * FROM orders')).rejects.toMatchObject(denied)
        await expect(queryAs(live.variables, 'SELECT * FROM names')).rejects.toMatchObject(denied)
      })

      it('says which of the tables are not there', async () => {
        const live = await ground.mint(['SELECT'], { tables: ['customers', 'public.cust\nomers'] })
        expect(live.minted.notes).toContain('table "public.cust\\nomers" does not exist')
      })

      it('says that tables made later are not covered, which is so', async () => {
        const live = await ground.mint(['SELECT'])
        expect(live.minted.notes).toEqual([
          'tables created later are not covered: ask for a new lease after a migration',
        ])
        await ground.sql('CREATE TABLE public.later ()')
        await expect(queryAs(live.variables, 'TABLE later')).rejects.toMatchObject(denied)
      })

      it('works in a database that has no tables yet, and says so', async () => {
        await ground.sql('CREATE SCHEMA bare')
        if (kind !== 'a superuser') {
          await ground.sql(
            `DO $$ BEGIN EXECUTE format('ALTER SCHEMA bare OWNER TO %I', (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public')); END $$`,
          )
        }
        const live = await ground.mint(['SELECT'], { schemas: ['bare'] })
        expect(live.minted.notes[0]).toBe('there are no tables yet')
        await queryAs(live.variables, 'SELECT 1')
      })

      it('takes names with quotes, semicolons and dots as names', async () => {
        const database = `od"d; DROP ROLE x; -- ${ground.database}`
        await server.createDatabase(database)
        const run = (text: string) => server.query(text, [], database)
        await run(`CREATE SCHEMA "s""; DROP TABLE t; --"`)
        await run(`CREATE TABLE "s""; DROP TABLE t; --"."a.b'; SELECT 1; --" (id serial)`)
        await run(`CREATE TABLE "s""; DROP TABLE t; --"."c" (id serial)`)
        if (kind !== 'a superuser') {
          await run(`DO $$ DECLARE o text := (SELECT rolname FROM pg_roles WHERE rolname LIKE 'admin_%' ORDER BY oid DESC LIMIT 1); BEGIN
            EXECUTE format('ALTER SCHEMA %I OWNER TO %I', 's"; DROP TABLE t; --', o);
            EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', 's"; DROP TABLE t; --', 'a.b''; SELECT 1; --', o); END $$`)
        }
        const live = await ground.mint(['INSERT', 'SELECT'], {
          database,
          schemas: ['s"; DROP TABLE t; --'],
          tables: [`"a.b'; SELECT 1; --"`],
        })
        const rows = await queryAs(
          live.variables,
          `TABLE "s""; DROP TABLE t; --"."a.b'; SELECT 1; --"`,
        )
        expect(rows).toEqual([])
        await expect(
          queryAs(live.variables, `TABLE "s""; DROP TABLE t; --".c`),
        ).rejects.toMatchObject(denied)
        expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
        expect(await ground.leftovers()).toEqual([])
        await server.dropDatabase(database)
      })

      it('gives variables and a URL that psql understands, whatever the database is called', async () => {
        const database = `a?b#c;d"e'%f &g ${ground.database}`
        await server.createDatabase(database)
        const live = await ground.mint(['SELECT'], { database })
        const ask = (how: string) =>
          execFileSync('sh', ['-c', `psql ${how} -Atc 'SELECT current_database(), current_user'`], {
            env: { PATH: process.env['PATH'], ...live.variables },
            encoding: 'utf8',
          })
        expect(ask('')).toBe(`${database}|${live.role}\n`)
        expect(ask('"$DATABASE_URL"')).toBe(`${database}|${live.role}\n`)
        await ground.revoke(live)
        await server.dropDatabase(database)
      })

      it('grants CONNECT where PUBLIC has lost it', async () => {
        if (kind !== 'a superuser') {
          await ground.sql(
            `DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I WITH GRANT OPTION', current_database(), (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public')); END $$`,
          )
        }
        await ground.sql(
          `DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$`,
        )
        const live = await ground.mint(['SELECT'])
        await queryAs(live.variables, 'TABLE customers')
        expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
        expect(await ground.leftovers()).toEqual([])
      })

      it('mints and revokes twenty at once without a conflict', async () => {
        const lives = await Promise.all(
          Array.from({ length: 20 }, () => ground.mint(['INSERT', 'SELECT'])),
        )
        expect(new Set(lives.map(({ role }) => role)).size).toBe(20)
        const ends = await Promise.all(lives.map((live) => ground.revoke(live)))
        expect(new Set(ends.map(({ outcome }) => outcome))).toEqual(new Set(['revoked']))
        expect(await ground.leftovers()).toEqual([])
      })
    })
  }

  describe('with an admin that may not pass on everything', () => {
    let ground: Ground
    beforeEach(async () => {
      ground = await layGround(server, 'an admin that is no superuser')
    })
    afterEach(() => ground.dispose())

    it('refuses when nothing can be granted, and leaves no role', async () => {
      await ground.sql('ALTER TABLE customers OWNER TO postgres')
      await ground.sql('ALTER TABLE orders OWNER TO postgres')
      await ground.sql('ALTER VIEW names OWNER TO postgres')
      const failure = await ground.mint(['SELECT']).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'provider_failed' })
      expect(inspect(failure)).toMatch(/may not grant anything on the tables of "pg-staging"/)
      expect(await ground.leftovers()).toEqual([])
    })

    it('says how much it could not grant', async () => {
      await ground.sql('ALTER TABLE orders OWNER TO postgres')
      const live = await ground.mint(['SELECT'])
      expect(live.minted.notes[0]).toMatch(
        /^SELECT was granted on 2 of 3 tables: "admin_\w+" may not grant the others$/,
      )
      await expect(queryAs(live.variables, 'TABLE orders')).rejects.toMatchObject(denied)
    })

    it('says that inserts will fail where it may not pass on a sequence', async () => {
      await ground.sql('CREATE SEQUENCE counter; ALTER SEQUENCE counter OWNER TO postgres')
      const live = await ground.mint(['INSERT'])
      expect(live.minted.notes).toContain(
        '1 sequences could not be granted: inserts that draw from them fail',
      )
      await expect(queryAs(live.variables, `SELECT nextval('counter')`)).rejects.toMatchObject(
        denied,
      )
    })

    it('refuses when it may not let the role connect', async () => {
      const may = `SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC; GRANT CONNECT ON DATABASE %I TO %I', current_database(), current_database(), nspowner::regrole) AS s FROM pg_namespace WHERE nspname = 'public'`
      const [row] = await ground.sql(may)
      await ground.sql(String(row?.['s']))
      await expect(ground.mint(['SELECT'])).rejects.toMatchObject({
        code: 'provider_failed',
        message: expect.stringMatching(
          /may not let a role connect to the database of "pg-staging"/,
        ),
      })
      expect(await ground.leftovers()).toEqual([])
    })
  })
})
