import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/lib/json.ts'
import type { Narrowness } from '../../src/providers/guard.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { type Ground, KINDS, layGround, until } from './postgres-bench.ts'

describe.skipIf(postgresMissing())('proof of narrowness', () => {
  let server: Postgres
  let ground: Ground
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.dispose())
  afterEach(() => ground.dispose())

  async function probe(
    operations: readonly string[],
    target: JsonObject = {},
    signal?: AbortSignal,
  ): Promise<readonly Narrowness[]> {
    const { provider, connection } = ground
    const request = {
      operations,
      target: provider.parseTarget(target),
      connection,
      probe: true,
    }
    const found = (await provider.narrowness?.(request, ground.world(signal))) ?? []
    return found.filter(({ probed }) => probed)
  }

  const lines = (found: readonly Narrowness[]) =>
    found.map(({ by, message }) => `${by}: ${message}`)

  /** Beside those of roles, all that GRANT, CREATE and DROP change. */
  const STATE = `SELECT
    (SELECT array_agg(c.relname || coalesce(c.relacl, acldefault(
      CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))::text ORDER BY c.oid) FROM pg_class c) AS tables,
    (SELECT array_agg(n.nspname || coalesce(n.nspacl, acldefault('n', n.nspowner))::text ORDER BY n.oid) FROM pg_namespace n) AS schemas,
    (SELECT array_agg(d.datname || coalesce(d.datacl, acldefault('d', d.datdba))::text ORDER BY d.oid) FROM pg_database d) AS databases,
    (SELECT array_agg(r.rolname ORDER BY r.oid) FROM pg_roles r) AS roles,
    (SELECT array_agg(o ORDER BY o.id) FROM public.orders o) AS orders`

  for (const kind of KINDS) {
    describe(`with ${kind}`, () => {
      beforeEach(async () => {
        ground = await layGround(server, kind)
        await ground.sql(`INSERT INTO orders (note) VALUES ('one')`)
      })

      it('warns of every right that PUBLIC has on a table, and uses none of them', async () => {
        await ground.sql('GRANT USAGE ON SCHEMA private TO PUBLIC')
        await ground.sql('GRANT SELECT ON private.payroll TO PUBLIC')
        await ground.sql('GRANT INSERT, UPDATE (note), DELETE, TRUNCATE ON orders TO PUBLIC')
        await ground.sql('CREATE TABLE called (what text)')
        await ground.sql(
          `CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN RAISE LOG 'a trigger ran: %', TG_OP; RETURN NULL; END $$`,
        )
        await ground.sql(
          `CREATE TRIGGER loud AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON orders
             FOR EACH STATEMENT EXECUTE FUNCTION loud()`,
        )
        const before = await ground.sql(STATE)
        const found = lines(await probe(['SELECT']))
        expect(found).toContain('nobody: that SELECT on "private.payroll" is refused: it works')
        for (const action of ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) {
          expect(found).toContain(`nobody: that ${action} on "public.orders" is refused: it works`)
        }
        expect(await ground.sql(STATE)).toEqual(before)
        expect(server.log()).not.toMatch(/LOG: {2}a trigger ran/)
        expect(await ground.leftovers()).toEqual([])
      })

      it('tries what is open first, and says how much more of it there is', async () => {
        await ground.sql('CREATE SCHEMA many')
        await ground.sql('GRANT USAGE ON SCHEMA many TO PUBLIC')
        for (let n = 10; n < 30; n++) await ground.sql(`CREATE TABLE many.t${n} ()`)
        await ground.sql('GRANT DELETE ON many.t29 TO PUBLIC')
        for (let n = 21; n < 28; n++) await ground.sql(`GRANT SELECT ON many.t${n} TO PUBLIC`)
        const found = lines(await probe(['SELECT']))
        expect(found).toContain('nobody: that DELETE on "many.t29" is refused: it works')
        expect(found.find((line) => line.includes('SELECT on'))).toMatch(
          /^nobody: that SELECT on "many.t21".* and "many.t25" and 2 more is refused: it works$/,
        )
      })

      it('warns of other databases, of schemas to create in, and of temporary tables', async () => {
        await ground.sql('GRANT CREATE ON SCHEMA private, public TO PUBLIC')
        await ground.sql('GRANT USAGE ON SCHEMA private TO PUBLIC')
        const found = lines(await probe(['SELECT']))
        expect(found.find((line) => line.startsWith('nobody: that other databases'))).toMatch(
          /the role logs in to .*"postgres"/,
        )
        expect(found).toContain(
          'nobody: that CREATE TABLE in schema "private" and "public" is refused: it works',
        )
        expect(found).toContain('nobody: that CREATE TEMPORARY TABLE is refused: it works')
      })

      it('finds nothing to warn of where PUBLIC has nothing', async () => {
        await ground.sql(`REVOKE ALL ON DATABASE "${ground.database}" FROM PUBLIC`)
        const databases = await ground.sql(
          'SELECT datname FROM pg_database WHERE datname <> current_database() AND datallowconn',
        )
        const names = databases.map(({ datname }) => `"${datname}"`).join(', ')
        await ground.sql(`REVOKE CONNECT ON DATABASE ${names} FROM PUBLIC`)
        try {
          await ground.sql(
            `DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO %I WITH GRANT OPTION',
               current_database(), (SELECT nspowner::regrole::text FROM pg_namespace
                 WHERE nspname = 'public')); END $$`,
          )
          const found = await probe(['SELECT', 'INSERT'])
          expect(found.filter(({ by }) => by === 'nobody')).toEqual([])
          const said = lines(found).join('\n')
          expect(said).toMatch(
            /the role is refused CREATE ROLE, SET ROLE "\w+" and a later VALID UNTIL/,
          )
          expect(said).toContain(
            'on the granted tables it is refused DELETE (2 tables), DROP TABLE (2 tables), TRUNCATE (2 tables) and UPDATE (2 tables)',
          )
          expect(said).toContain('on tables outside the grant it is refused DELETE (1 table)')
          expect(said).toContain('CREATE TABLE in schema "private" and "public"')
          expect(said).toMatch(/provider: a login to \d+ other databases is refused/)
          expect(said).toContain('provider: a login with a wrong password is refused')
          expect(said).toContain('provider: after its revocation the role logs in no more')
        } finally {
          await ground.sql(`GRANT CONNECT ON DATABASE ${names} TO PUBLIC`)
        }
      })

      it('leaves no role and no session, whatever went wrong with it', async () => {
        await expect(probe(['SELECT'], { schemas: ['publik'] })).rejects.toMatchObject({
          code: 'provider_failed',
          message: 'the database of "pg-staging" has no schema "publik"',
        })
        const held = await holdProbe(ground)
        const late = new AbortController()
        const probing = probe(['SELECT'], {}, late.signal).catch((error: unknown) => error)
        await held.reached()
        late.abort(new DOMException('late', 'TimeoutError'))
        expect(await probing).toMatchObject({
          code: 'provider_unavailable',
          message: 'the server of "pg-staging" did not answer in time',
        })
        await held.release()
        expect(await ground.leftovers()).toEqual([])
      })

      it('proves nothing when the role was taken away from under it', async () => {
        const held = await holdProbe(ground)
        const probing = probe(['SELECT']).catch((error: unknown) => error)
        const role = await held.reached()
        const recipe = { role, database: ground.database }
        await ground.provider.revoke(recipe, null, ground.connection, ground.world())
        expect(await probing).toMatchObject({ code: 'provider_unavailable' })
        await held.release()
        expect(await ground.leftovers()).toEqual([])
      })

      it('tells also of a table that the application holds', async () => {
        await ground.sql('GRANT TRUNCATE ON orders TO PUBLIC')
        const application = await asSuperuser(ground)
        await application.query('BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE')
        try {
          expect(lines(await probe(['SELECT']))).toContain(
            'nobody: that TRUNCATE on "public.orders" is refused: it works',
          )
          await application.query('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE')
          const found = lines(await probe(['SELECT']))
          expect(found.find((line) => line.includes('could not be told'))).toMatch(
            /UPDATE on "public\.orders" \(55P03\)/,
          )
        } finally {
          await application.end()
        }
      })
    })
  }

  describe('where pg_hba.conf says trust', () => {
    let hba: string
    let text: string
    beforeEach(async () => {
      ground = await layGround(server, 'an admin that is no superuser')
      hba = join(server.folder, 'data', 'pg_hba.conf')
      text = readFileSync(hba, 'utf8')
    })
    afterEach(async () => {
      writeFileSync(hba, text)
      await server.query('SELECT pg_reload_conf()')
    })

    it('finds out that any password lets a lease in, which the admin cannot read', async () => {
      writeFileSync(hba, `host all all 127.0.0.1/32 trust\n`)
      await server.query('SELECT pg_reload_conf()')
      expect(lines(await probe(['SELECT']))).toContain(
        'nobody: that the password is right: any one lets the role in, and VALID UNTIL is not looked at (pg_hba.conf)',
      )
    })
  })

  it('is found by the reconciler when it was left behind, as nobody’s', async () => {
    ground = await layGround(server, 'an admin that is no superuser')
    const held = await holdProbe(ground)
    const probing = probe(['SELECT'])
    await held.reached()
    const listed = await ground.provider.list?.(ground.connection, ground.world())
    await held.release()
    await probing
    expect(listed).toMatchObject([
      { lease: null, recipe: { role: expect.stringMatching(/^broker_\w{8}_probe_[0-9a-f]{16}$/) } },
    ])
  })
})

async function asSuperuser(ground: Ground): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: ground.server.adminUrl(ground.database) })
  await client.connect()
  return client
}

/** Makes a probe stand still in the middle of what it tries, where it would create a table. */
async function holdProbe(ground: Ground) {
  const holder = await asSuperuser(ground)
  await holder.query('SELECT pg_advisory_lock(42)')
  await holder.query(
    `CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
       SET LOCAL lock_timeout = 0;
       PERFORM pg_advisory_lock_shared(42);
     END $$`,
  )
  await holder.query(
    `CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('CREATE TABLE')
       EXECUTE FUNCTION wait()`,
  )
  const waiting = `SELECT usename FROM pg_stat_activity
    WHERE wait_event = 'advisory' AND starts_with(usename, $1)`
  return {
    async reached(): Promise<string> {
      const prefix = [`broker_${ground.installId}_probe_`]
      await until('a probe waits', async () => (await ground.sql(waiting, prefix)).length > 0)
      return String((await ground.sql(waiting, prefix))[0]?.['usename'])
    },
    release: () => holder.end(),
  }
}
