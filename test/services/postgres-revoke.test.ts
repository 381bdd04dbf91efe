import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/lib/secret.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import {
  connectAs,
  type Ground,
  isAlive,
  KINDS,
  type Live,
  layGround,
  queryAs,
  until,
} from './postgres-bench.ts'

const denied = { code: '42501' }

describe.skipIf(postgresMissing())('revoking a role', () => {
  let server: Postgres
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.dispose())

  for (const kind of KINDS) {
    describe(`as ${kind}`, () => {
      let ground: Ground
      let keeper: string
      beforeEach(async () => {
        ground = await layGround(server, kind)
        keeper = `brokerkeep_${ground.installId}`
        // As in databases made before version 15.
        await ground.sql('GRANT CREATE ON SCHEMA public TO PUBLIC')
      })
      afterEach(() => ground.dispose())

      async function expectGone(live: Live): Promise<readonly string[]> {
        const end = await ground.revoke(live)
        expect(end).toMatchObject({ outcome: 'revoked' })
        expect(await ground.leftovers()).toEqual([])
        await expect(connectAs(live.variables)).rejects.toMatchObject({ code: '28P01' })
        return end.outcome === 'revoked' ? end.notes : []
      }

      it('may be done by two who drop the role at the same moment', async () => {
        const live = await ground.mint(['SELECT'])
        const holder = new pg.Client({ connectionString: server.adminUrl(ground.database) })
        await holder.connect()
        await holder.query(`BEGIN; COMMENT ON ROLE "${live.role}" IS 'held'`) // DROP waits for it
        const both = Promise.all([ground.revoke(live), ground.revoke(live)])
        await until('both are about to drop it', async () => {
          const waiting = await ground.sql(
            `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = $1`,
            [`DROP ROLE IF EXISTS "${live.role}"`],
          )
          return waiting.length === 2
        })
        await holder.end()
        for (const { outcome } of await both) expect(outcome).toBe('revoked')
        expect(await ground.leftovers()).toEqual([])
      })

      const before16 = () =>
        server
          .query('SHOW server_version_num')
          .then(([row]) => Number(row?.['server_version_num']) < 160_000)

      describe('against a client that resists', () => {
        it('ends one that holds its own catalog row', async () => {
          const live = await ground.mint(['SELECT'])
          const client = await connectAs(live.variables)
          await client.query(`BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'`)
          await expectGone(live)
          expect(await isAlive(client)).toBe(false)
        })

        it('ends one that holds its own catalog row in a prepared transaction', async () => {
          const live = await ground.mint(['SELECT'])
          await queryAs(
            live.variables,
            `BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'; PREPARE TRANSACTION 'p''q'`,
          )
          await expectGone(live)
          expect(await ground.sql('SELECT * FROM pg_prepared_xacts')).toEqual([])
        })

        it('rolls back what it prepared in another database', async () => {
          const other = `other_${ground.database}`
          await server.createDatabase(other)
          const live = await ground.mint(['SELECT'])
          await queryAs(
            live.variables,
            `BEGIN; CREATE TEMP TABLE t (); DROP TABLE t; SELECT pg_advisory_xact_lock(7); PREPARE TRANSACTION 'there'`,
            other,
          ).catch(() => {})
          await queryAs(
            live.variables,
            `BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'; PREPARE TRANSACTION 'there'`,
            other,
          )
          await expectGone(live)
          expect(await ground.sql('SELECT * FROM pg_prepared_xacts')).toEqual([])
          await server.dropDatabase(other)
        })

        it("ends one that holds the broker's own lock", async () => {
          const live = await ground.mint(['SELECT'])
          const client = await connectAs(live.variables)
          await client.query(`SELECT pg_advisory_lock(${0x62726b72}, 1)`)
          await expectGone(live)
          expect(await isAlive(client)).toBe(false)
        })

        // Before version 15 a role could do these two to itself; here the superuser does them.
        it('ends one that was handed to another lease, and that session too', async () => {
          const live = await ground.mint(['SELECT'])
          const sibling = await ground.mint(['SELECT'], { tables: ['orders'] })
          await ground.sql(`GRANT "${live.role}" TO "${sibling.role}"`)
          const client = await connectAs(sibling.variables)
          await client.query(`SET ROLE "${live.role}"; BEGIN; CREATE TABLE blocker ()`)
          expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
          expect(await isAlive(client)).toBe(false)
          await expect(queryAs(sibling.variables, 'TABLE customers')).rejects.toMatchObject(denied)
          await expectGone(sibling)
        })

        it('ends one that the admin was thrown out of', async () => {
          const live = await ground.mint(['SELECT'])
          const client = await connectAs(live.variables)
          if (await before16()) {
            await ground.sql(`DO $$ DECLARE m text; BEGIN
              FOR m IN SELECT member::regrole::text FROM pg_auth_members WHERE roleid = '${live.role}'::regrole
              LOOP EXECUTE format('REVOKE %I FROM %s', '${live.role}', m); END LOOP; END $$`)
          }
          await expectGone(live)
          expect(await isAlive(client)).toBe(false)
        })

        it('ends one that keeps coming back', async () => {
          const live = await ground.mint(['SELECT'])
          let stop = false
          const storm = Array.from({ length: 4 }, async () => {
            while (!stop) await queryAs(live.variables, 'SELECT 1').catch(() => {})
          })
          try {
            await expectGone(live)
          } finally {
            stop = true
            await Promise.all(storm)
          }
          expect(await ground.leftovers()).toEqual([])
        })
      })

      it('keeps a table that was left behind, for a role that can do nothing', async () => {
        const live = await ground.mint(['SELECT'])
        await queryAs(live.variables, `CREATE TABLE "left\n'behind" AS SELECT 1 AS kept`)
        const [note] = await expectGone(live)
        expect(note).toContain(`1 left behind in database "${ground.database}", now of "${keeper}"`)
        expect(note).not.toContain('\n')
        expect(await ground.sql(`TABLE "left\n'behind"`)).toEqual([{ kept: 1 }])
        const [row] = await ground.sql('SELECT * FROM pg_roles WHERE rolname = $1', [keeper])
        expect(row).toMatchObject({
          rolcanlogin: false,
          rolsuper: false,
          rolcreaterole: false,
          rolinherit: false,
        })
        expect(
          await ground.sql('SELECT FROM pg_auth_members WHERE member = $1::regrole', [keeper]),
        ).toEqual([])
      })

      it('gives the next lease nothing through routines and views left behind', async () => {
        const one = await ground.mint(['SELECT'])
        await queryAs(one.variables, `CREATE TABLE public.secretive AS SELECT 'treasure' AS t`)
        await queryAs(
          one.variables,
          `CREATE FUNCTION public.run(q text) RETURNS text SECURITY DEFINER LANGUAGE plpgsql
          AS $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $$`,
        )
        await queryAs(one.variables, 'CREATE VIEW public.peek AS SELECT * FROM public.secretive')
        await queryAs(one.variables, 'GRANT SELECT ON public.peek TO PUBLIC')
        await expectGone(one)
        const two = await ground.mint(['SELECT'], { tables: ['orders'] })
        const tries = [
          'SELECT * FROM private.payroll',
          'SELECT * FROM customers',
          'SELECT t FROM public.secretive',
          'DROP TABLE public.secretive',
          'CREATE ROLE friend',
        ]
        for (const text of tries) {
          await expect(
            queryAs(two.variables, `SELECT public.run('${text}')`),
            text,
          ).rejects.toMatchObject(denied)
        }
        const [row] = await ground.sql('SHOW server_version_num')
        if (Number(row?.['server_version_num']) >= 150_000) {
          await expect(queryAs(two.variables, 'TABLE public.peek')).rejects.toMatchObject(denied)
        }
        const [owner] = await ground.sql(
          `SELECT proowner::regrole::text AS o FROM pg_proc WHERE proname = 'run'`,
        )
        expect(owner).toEqual({ o: keeper })
        await expectGone(two)
      })

      it('hands over routines in a schema where the keeper may not create', async () => {
        const live = await ground.mint(['SELECT'])
        await ground.sql('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
        await ground.sql(`GRANT CREATE ON SCHEMA public TO "${live.role}"`)
        await queryAs(
          live.variables,
          'CREATE FUNCTION public.one() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
        )
        await expectGone(live)
        const [may] = await ground.sql(
          `SELECT has_schema_privilege($1, 'public', 'CREATE') AS may`,
          [keeper],
        )
        expect(may).toEqual({ may: false })
      })

      it('drops default privileges, large objects and temporary tables with the role', async () => {
        const live = await ground.mint(['SELECT'])
        const client = await connectAs(live.variables)
        await client.query(
          'CREATE TEMP TABLE t (); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; SELECT lo_create(0)',
        )
        await expectGone(live)
      })

      it('cleans up in every database where the role left something', async () => {
        const other = `second_${ground.database}`
        await server.createDatabase(other)
        const live = await ground.mint(['SELECT'])
        await server.query('GRANT CREATE ON SCHEMA public TO PUBLIC', [], other)
        await queryAs(live.variables, 'CREATE TABLE public.far ()', other)
        const notes = await expectGone(live)
        expect(notes.join()).toContain(`in database "${other}"`)
        const [owner] = await server.query(
          `SELECT relowner::regrole::text AS o FROM pg_class WHERE relname = 'far'`,
          [],
          other,
        )
        expect(owner).toEqual({ o: keeper })
        await server.dropDatabase(other)
      })

      it('says what a superuser must take back when the admin may not', async () => {
        if (kind === 'a superuser') return
        const live = await ground.mint(['SELECT'])
        await ground.sql(
          `CREATE TABLE public.foreign_to_admin (); GRANT SELECT ON public.foreign_to_admin TO "${live.role}"`,
        )
        const client = await connectAs(live.variables)
        await expect(ground.revoke(live)).rejects.toMatchObject({
          code: 'provider_failed',
          message: expect.stringMatching(
            /cannot log in any more, but "admin_\w+" may not take back all/,
          ),
          hint: `as a superuser run in "${ground.database}": DROP OWNED BY "${live.role}";`,
        })
        expect(await isAlive(client)).toBe(false)
        await expect(connectAs(live.variables)).rejects.toMatchObject({ code: '28P01' })
        await ground.sql(`DROP OWNED BY "${live.role}"`)
        await expectGone(live)
      })

      it('ends access even if a database cannot be entered, says which, and finishes later', async () => {
        const live = await ground.mint(['SELECT'])
        const client = await connectAs(live.variables)
        const allow = (yes: boolean) =>
          server.query(`ALTER DATABASE "${ground.database}" ALLOW_CONNECTIONS ${yes}`)
        await ground.provider.close?.()
        await allow(false)
        await expect(ground.revoke(live)).rejects.toMatchObject({
          code: 'provider_failed',
          message: `"${live.role}" cannot log in any more, but database "${ground.database}" was not cleaned: the server of "pg-staging" is not in a state to do it`,
          details: { database: ground.database },
        })
        expect(await isAlive(client)).toBe(false)
        await allow(true)
        await expectGone(live)
      })

      it('does not take a closed database for proof that there is no role', async () => {
        const live = await ground.mint(['SELECT'])
        await ground.revoke(live)
        await ground.provider.close?.()
        await server.query(`ALTER DATABASE "${ground.database}" ALLOW_CONNECTIONS false`)
        await expect(ground.revoke(live)).rejects.toMatchObject({ code: 'provider_failed' })
        await server.query(`ALTER DATABASE "${ground.database}" ALLOW_CONNECTIONS true`)
        expect(await ground.revoke(live)).toEqual({ outcome: 'absent' })
      })

      it('finishes when the database itself was dropped', async () => {
        const live = await ground.mint(['SELECT'])
        await ground.provider.close?.()
        await server.dropDatabase(ground.database)
        expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
        expect(await ground.leftovers()).toEqual([])
      })

      it('does not call a role absent that was made on another server', async () => {
        const live = await ground.mint(['SELECT'])
        await ground.revoke(live)
        const elsewhere = { ...live.recipe, address: 'db.example:5432' }
        await expect(
          ground.provider.revoke(elsewhere, null, ground.connection, ground.world()),
        ).rejects.toMatchObject({
          code: 'provider_failed',
          message: `"${live.role}" was made at "db.example:5432", "pg-staging" leads elsewhere now`,
        })
      })

      it('goes on from wherever an earlier revocation stopped', async () => {
        const steps = ['', 'ALTER ROLE $ NOLOGIN', 'ALTER ROLE $ NOLOGIN; DROP OWNED BY $']
        for (const step of steps) {
          const live = await ground.mint(['SELECT'])
          const client = await connectAs(live.variables)
          await ground.sql(step.replaceAll('$', `"${live.role}"`))
          const both = await Promise.all([ground.revoke(live), ground.revoke(live)])
          expect(both.map(({ outcome }) => outcome)).toContain('revoked')
          expect(await isAlive(client)).toBe(false)
          expect(await ground.leftovers()).toEqual([])
        }
      })

      it('waits for a mint that is still committing, though its client is gone', async () => {
        const live = await ground.mint(['SELECT'])
        await ground.revoke(live)
        const committing = new pg.Client({
          host: server.host,
          port: server.port,
          user: 'postgres',
          password: server.password,
          database: ground.database,
          ssl: false,
        })
        await committing.connect()
        await committing.query(
          `BEGIN; SELECT pg_advisory_xact_lock(${0x62726b72}, 1); CREATE ROLE "${live.role}" LOGIN`,
        )
        const revoking = ground.provider
          .revoke(live.recipe, null, ground.connection, ground.world())
          .catch((error: unknown) => error)
        await until('the revocation waits', async () => {
          const waiting = `SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'advisory'`
          return (await ground.sql(waiting, [ground.database])).length > 0
        })
        await committing.query('COMMIT')
        await committing.end()
        if (kind === 'a superuser' || (await before16())) {
          expect(await revoking).toMatchObject({ outcome: 'revoked' })
        } else {
          // It sees the role, but this one was not made by the admin, who therefore may not drop it.
          expect(await revoking).toMatchObject({ code: 'provider_failed' })
          await server.query(`DROP ROLE "${live.role}"`)
        }
        expect(await ground.leftovers()).toEqual([])
      })

      it('ends a session that outlived its role', async () => {
        const live = await ground.mint(['SELECT'])
        const client = await connectAs(live.variables)
        await ground.sql(`DROP OWNED BY "${live.role}"; DROP ROLE "${live.role}"`)
        if (kind === 'a superuser') {
          expect(await ground.revoke(live)).toEqual({ outcome: 'absent' })
        } else {
          await expect(ground.revoke(live)).rejects.toMatchObject({
            code: 'provider_failed',
            message: expect.stringMatching(/may not end the sessions of/),
            hint: expect.stringMatching(
              /^as a superuser run: GRANT pg_signal_backend TO "admin_\w+"$/,
            ),
          })
          const [row] = await ground.sql(
            `SELECT nspowner::regrole::text AS admin FROM pg_namespace WHERE nspname = 'public'`,
          )
          await ground.sql(`GRANT pg_signal_backend TO ${row?.['admin']}`)
          expect(await ground.revoke(live)).toEqual({ outcome: 'absent' })
        }
        expect(await isAlive(client)).toBe(false)
      })

      it('refuses to leave anything to a keeper that has been given power', async () => {
        await server.query(`CREATE ROLE "${keeper}" LOGIN`)
        const live = await ground.mint(['SELECT'])
        await queryAs(live.variables, 'CREATE TABLE public.mine ()')
        await expect(ground.revoke(live)).rejects.toMatchObject({
          code: 'provider_failed',
          message: `role "${keeper}" is not powerless any more`,
        })
        await expect(connectAs(live.variables)).rejects.toMatchObject({ code: '28P01' })
        await server.query(`ALTER ROLE "${keeper}" NOLOGIN`)
        if (kind !== 'a superuser' && !(await before16())) return // it is not this admin's to use
        await expectGone(live)
      })

      it('is not misled by functions that an agent put where ours are looked for', async () => {
        const live = await ground.mint(['SELECT'])
        await queryAs(
          live.variables,
          `CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$`,
        )
        await queryAs(
          live.variables,
          `CREATE FUNCTION public.has_table_privilege(name, oid, text) RETURNS bool LANGUAGE sql AS $$ SELECT true $$`,
        )
        await ground.sql(
          `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$`,
        )
        await ground.provider.close?.()
        expect(await ground.provider.list?.(ground.connection, ground.world())).toHaveLength(1)
        await expectGone(live)
      })
    })
  }

  it('names who holds the lock when a mint cannot have it', async () => {
    const ground = await layGround(server, 'a superuser')
    const live = await ground.mint(['SELECT'])
    const client = await connectAs(live.variables)
    await client.query(`SELECT pg_advisory_lock(${0x62726b72}, 1)`)
    await expect(ground.mint(['SELECT'])).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringContaining(`is held by "${live.role}"`),
    })
    await ground.revoke(live)
    await ground.revoke(await ground.mint(['SELECT']))
    expect(await ground.leftovers()).toEqual([])
    await ground.dispose()
  })

  it('works with a secret that was changed meanwhile', async () => {
    const ground = await layGround(server, 'a superuser')
    const live = await ground.mint(['SELECT'])
    const narrow = await server.createNarrowAdmin(ground.database)
    const connection = { ...ground.connection, secret: new Secret(narrow.url(ground.database)) }
    const [row] = await server.query('SHOW server_version_num')
    if (Number(row?.['server_version_num']) < 160_000) {
      await ground.provider.revoke(live.recipe, live.minted.handle, connection, ground.world())
    } else {
      await ground.revoke(live)
    }
    expect(await ground.leftovers()).toEqual([])
    await ground.dispose()
  })
})
