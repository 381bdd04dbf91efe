import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/providers/provider.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { type Ground, layGround } from './postgres-bench.ts'

describe.skipIf(postgresMissing())('checking a connection', () => {
  let server: Postgres
  let ground: Ground
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.dispose())
  afterEach(() => ground.dispose())

  async function findings(): Promise<readonly Finding[]> {
    return (await ground.provider.check?.(ground.connection, ground.world())) ?? []
  }

  async function find(pattern: RegExp): Promise<Finding | undefined> {
    return (await findings()).find(({ message }) => pattern.test(message))
  }

  describe('of a superuser', () => {
    beforeEach(async () => {
      ground = await layGround(server, 'a superuser')
    })

    it('warns that it is more than needed and shows a narrower one', async () => {
      const found = await find(/superuser/)
      expect(found).toMatchObject({ level: 'warning' })
      expect(found?.hint).toContain('CREATE ROLE credential_admin LOGIN CREATEROLE;')
    })

    it('warns of lines that let anyone in without a password', async () => {
      expect(await find(/says trust/)).toBeUndefined()
      appendFileSync(
        join(server.folder, 'data', 'pg_hba.conf'),
        'host all nobody 127.0.0.1/32 trust\n',
      )
      await ground.sql('SELECT pg_reload_conf()')
      expect(await find(/^pg_hba\.conf line \d+ says trust/)).toMatchObject({ level: 'warning' })
    })
  })

  describe('of an admin that is no superuser', () => {
    beforeEach(async () => {
      ground = await layGround(server, 'an admin that is no superuser')
    })

    it('names the server, the database and the role', async () => {
      const [first] = await findings()
      expect(first).toMatchObject({ level: 'ok' })
      expect(first?.message).toMatch(
        /^PostgreSQL [\d.]+.* at "127\.0\.0\.1:\d+", database "app_\w+", as "admin_\w+"$/,
      )
    })

    it('calls it a problem that it may not create roles', async () => {
      await ground.sql(
        `DO $$ BEGIN EXECUTE format('ALTER ROLE %I NOCREATEROLE', (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public')); END $$`,
      )
      expect(await find(/may not create roles/)).toMatchObject({
        level: 'problem',
        hint: expect.stringMatching(/ALTER ROLE "admin_\w+" CREATEROLE;$/),
      })
    })

    it('says how many tables it may pass on rights on', async () => {
      expect(await find(/of \d+ tables/)).toBeUndefined()
      await ground.sql('ALTER TABLE orders OWNER TO postgres')
      expect(await find(/rights on 3 of 4 tables/)).toMatchObject({ level: 'note' })
    })

    it('says that it cannot see how clients are let in', async () => {
      expect(await find(/pg_hba\.conf cannot be seen/)).toMatchObject({ level: 'note' })
    })

    it('lists what PUBLIC may do, each with a statement that ends it', async () => {
      await ground.sql('GRANT CREATE ON SCHEMA private TO PUBLIC')
      await ground.sql('GRANT SELECT ON customers TO PUBLIC')
      await ground.sql(
        'CREATE FUNCTION public.power(int) RETURNS int SECURITY DEFINER LANGUAGE sql AS $$ SELECT 1 $$',
      )
      const expected: readonly (readonly [RegExp, string])[] = [
        [/other databases .*"postgres"/, 'REVOKE CONNECT ON DATABASE "postgres" FROM PUBLIC;'],
        [/open to PUBLIC: "private"/, 'REVOKE CREATE ON SCHEMA "private" FROM PUBLIC;'],
        [/SECURITY DEFINER/, 'REVOKE EXECUTE ON ROUTINE public.power(integer) FROM PUBLIC;'],
        [/rights that PUBLIC has on tables/, 'REVOKE ALL ON TABLE public.customers FROM PUBLIC;'],
        [/temporary tables/, `REVOKE TEMPORARY ON DATABASE "${ground.database}" FROM PUBLIC;`],
      ]
      for (const [message, statement] of expected) {
        const found = await find(message)
        expect(found?.hint, String(message)).toContain(statement)
      }
      // The statements are run as they were shown; then there is nothing left to say.
      for (const [, statement] of expected.slice(1)) await ground.sql(statement)
      for (const [message] of expected.slice(1))
        expect(await find(message), String(message)).toBeUndefined()
    })

    it('changes nothing', async () => {
      const state = `SELECT (SELECT array_agg(r::text ORDER BY r.oid) FROM pg_authid r) AS roles,
        (SELECT array_agg(c.relacl::text ORDER BY c.oid) FROM pg_class c) AS tables,
        (SELECT array_agg(d.datacl::text ORDER BY d.oid) FROM pg_database d) AS databases,
        (SELECT array_agg(n.nspacl::text ORDER BY n.oid) FROM pg_namespace n) AS schemas`
      const before = await ground.sql(state)
      await findings()
      expect(await ground.sql(state)).toEqual(before)
    })
  })
})
