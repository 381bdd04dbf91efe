import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, type Result } from '../fixtures/broker.ts'
import { Ledger } from '../fixtures/ledger.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { Product } from '../fixtures/product.ts'

/** What an admin would write; `template init` and the README show the same. */
const YAML = `version: 1
environments:
  staging:
    db: { connection: pg-staging, schemas: [public] }
    api: { provider: jwt, audience: https://api.staging.example }
templates:
  staging-dev:
    description: day-to-day work
    environments: [staging]
    ttl: 30m
    maxTtl: 4h
    isolation: scrub
    who: [local]
    grants:
      db: { allow: [read, write] }
      api: { allow: [orders:read] }
`

describe.skipIf(postgresMissing())('the main job, as typed', () => {
  let server: Postgres
  let broker: Product
  let ledger: Ledger
  let env: NodeJS.ProcessEnv
  beforeAll(async () => {
    server = await startPostgres({ settings: { log_timezone: 'UTC' } })
    await server.query('CREATE TABLE customers (name text); INSERT INTO customers VALUES ($$Ada$$)')
    broker = new Product()
    ledger = new Ledger(server)
    writeFileSync(join(broker.folder, 'broker.yaml'), YAML)
    env = broker.env({
      PATH: `${broker.installed()}:${process.env['PATH']}`,
      ADMIN_URL: server.adminUrl(),
    })
  })
  afterAll(async () => {
    await broker?.dispose()
    await server?.dispose()
  })

  /** One line in a person's shell. */
  const type = (line: string): Promise<Result> =>
    collect(spawn('/bin/sh', ['-c', line], { cwd: broker.folder, env, stdio: 'pipe' }))

  const EXEC = 'broker exec --env staging --template staging-dev --isolation scrub --'

  it('stores the connection and says what it can do', async () => {
    const line = 'printf %s "$ADMIN_URL" | broker connect postgres pg-staging --secret-stdin'
    const result = await type(line)
    expect(result.status).toBe(0)
    expect(result.out).toContain('superuser')
    expect(result.out + result.err).not.toContain(server.password)
  })

  it('applies the template', async () => {
    const result = await type('broker template apply broker.yaml --yes')
    expect(result.status).toBe(0)
    expect(result.out + result.err).toContain('template staging-dev')
  })

  it('runs the command with its own role, and shows it as live', async () => {
    const result = await type(`${EXEC} sh -c 'psql -c "select current_user" && broker tokens'`)
    expect(result.status).toBe(0)
    const [role] = /broker_[0-9a-z]{8}_[0-9a-z]{26}_[0-9a-f]{8}/.exec(result.out) ?? []
    expect(ledger.created().map((it) => it.role)).toEqual([role])
    expect(result.out).toMatch(/lse_\w{26}\tactive\tstaging\tstaging-dev/)
    expect(result.err).toMatch(
      /^broker: lease lse_\w{26} · staging · template staging-dev · 30m · isolation scrub · db native, api native\nbroker: revoked in \d+ ms\n$/,
    )
  })

  it('shows afterwards that it is over, and that nobody touched the log', async () => {
    const tokens = await type('broker tokens --all --json')
    expect(JSON.parse(tokens.out).leases).toMatchObject([
      {
        state: 'revoked',
        environment: 'staging',
        template: { name: 'staging-dev', version: 1 },
        isolation: 'scrub',
        endReason: 'task_ended',
        grants: [
          { name: 'db', provider: 'postgres', connection: 'pg-staging', state: 'revoked' },
          { name: 'api', provider: 'jwt', connection: null, state: 'revoked' },
        ],
      },
    ])
    expect((await type('broker audit verify')).status).toBe(0)
    expect(await ledger.roles()).toEqual([])
    expect(await ledger.violations(broker)).toEqual([])
  })

  const rights = [
    { name: 'reads', sql: 'select name from customers', status: 0 },
    { name: 'writes', sql: "insert into customers values ('Bob')", status: 0 },
    { name: 'may not delete', sql: 'delete from customers', status: 1 },
    { name: 'may not truncate', sql: 'truncate customers', status: 1 },
    { name: 'may not drop', sql: 'drop table customers', status: 1 },
    { name: 'may not make roles', sql: 'create role mallory', status: 1 },
    { name: 'may not become the admin', sql: 'set role postgres', status: 1 },
  ]
  it.each(rights)('the task $name', async ({ sql, status }) => {
    const result = await type(`${EXEC} psql -X -v ON_ERROR_STOP=1 -c "${sql}"`)
    expect(result.status).toBe(status)
    if (status !== 0) expect(result.err).toMatch(/ERROR: {2}(permission denied|must be owner)/)
  })

  it('what the child kept is worth nothing afterwards', async () => {
    const kept = await type(`${EXEC} sh -c 'echo "$DATABASE_URL"; echo "$BROKER_ACCESS_TOKEN"'`)
    const [url = '', token = ''] = kept.out.split('\n')
    expect(url).toMatch(/^postgres(ql)?:\/\/broker_/)
    const again = await type(`psql "${url}" -X -c 'select 1'`)
    expect(again.status).toBe(2)
    expect(token.split('.')).toHaveLength(3)
    const inside = await type(`${EXEC} sh -c 'test "$BROKER_ACCESS_TOKEN" != "${token}"'`)
    expect(inside.status).toBe(0)
  })

  it('the task has neither the admin’s URL nor the way to another environment', async () => {
    const shown = await type(`${EXEC} env`)
    expect(shown.status).toBe(0)
    expect(shown.out).not.toContain(server.password)
    expect(shown.out).not.toContain('BROKER_HOME')
    const wider = await type(`${EXEC} broker exec --env production --isolation scrub -- true`)
    expect(wider.status).toBe(125)
    expect(await ledger.violations(broker)).toEqual([])
  })
})
