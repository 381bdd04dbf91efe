import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/lib/secret.ts'
import { createPostgres } from '../../src/providers/postgres/provider.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { type Ground, KINDS, layGround, until } from './postgres-bench.ts'

describe.skipIf(postgresMissing())('when the server is not there', () => {
  let server: Postgres
  let ground: Ground
  beforeAll(async () => {
    server = await startPostgres({ settings: { max_connections: '12' } })
  })
  afterAll(() => server?.dispose())
  beforeEach(async () => {
    await server.start()
    ground = await layGround(server, KINDS[1] ?? 'a superuser')
  })
  afterEach(async () => {
    await server.start()
    await ground.dispose()
  })

  it('says so, and revokes what was live as soon as it is back', async () => {
    const live = await ground.mint(['SELECT'])
    await server.stop()
    const gone = {
      code: 'provider_unavailable',
      message: 'the server of "pg-staging" does not answer',
    }
    await expect(ground.mint(['SELECT'])).rejects.toMatchObject(gone)
    await expect(ground.revoke(live)).rejects.toMatchObject(gone)
    await expect(ground.provider.list?.(ground.connection, ground.world())).rejects.toMatchObject(
      gone,
    )
    await server.start()
    expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
    expect(await ground.leftovers()).toEqual([])
  })

  it('gives up a server that does not answer when its time is over, and leaves nothing there', async () => {
    const live = await ground.mint(['SELECT'])
    server.pause()
    const short = () => ground.world(AbortSignal.timeout(300))
    const late = {
      code: 'provider_unavailable',
      message: 'the server of "pg-staging" did not answer in time',
    }
    try {
      await expect(
        ground.provider.revoke(live.recipe, null, ground.connection, short()),
      ).rejects.toMatchObject(late)
      await expect(ground.provider.check?.(ground.connection, short())).rejects.toMatchObject(late)
    } finally {
      server.resume()
    }
    expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
    await until('nothing is left', async () => (await ground.leftovers()).length === 0)
  })

  it('says that no connection is left', async () => {
    const live = await ground.mint(['SELECT'], { connectionLimit: 50 })
    await ground.provider.close?.()
    const { connectAs } = await import('./postgres-bench.ts')
    const clients = []
    try {
      for (;;) clients.push(await connectAs(live.variables))
    } catch (error) {
      expect(error).toMatchObject({ code: '53300' })
    }
    await expect(ground.mint(['SELECT'])).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'the server of "pg-staging" has no connection left',
    })
    for (const client of clients) await client.end()
    expect(await ground.revoke(live)).toMatchObject({ outcome: 'revoked' })
  })

  it('waits for a table that someone is changing no longer than a few seconds', async () => {
    const { Client } = (await import('pg')).default
    const { host, port, password } = server
    const holder = new Client({
      host,
      port,
      user: 'postgres',
      password,
      database: ground.database,
      ssl: false,
    })
    await holder.connect()
    await holder.query('BEGIN; GRANT REFERENCES ON customers TO pg_monitor')
    await expect(ground.mint(['SELECT'])).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'the server of "pg-staging" was busy with something in the way',
      details: { sqlstate: '55P03' },
    })
    await holder.end()
    expect(await ground.leftovers()).toEqual([])
  })

  it('refuses a wrong password as a failure that time does not heal', async () => {
    await ground.provider.check?.(ground.connection, ground.world()) // leaves a session of the right one
    const connection = { ...ground.connection, secret: wrong(ground) }
    await expect(ground.provider.check?.(connection, ground.world())).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'the server of "pg-staging" refused the login',
      details: { sqlstate: '28P01' },
    })
  })

  it('closes its sessions when it is told to, and opens new ones when it is used again', async () => {
    const provider = createPostgres()
    await provider.check?.(ground.connection, ground.world())
    await provider.close?.()
    await provider.close?.()
    const mine = `SELECT FROM pg_stat_activity WHERE application_name = 'broker' AND datname = $1`
    await until(
      'no session is open',
      async () => (await ground.sql(mine, [ground.database])).length === 0,
    )
    await provider.check?.(ground.connection, ground.world())
    await provider.close?.()
  })
})

function wrong({ connection }: Ground): Secret {
  const url = connection.secret?.reveal() ?? ''

  return new Secret(url.replace(/:narrow-\w+@/, ':wrong@'))
}
