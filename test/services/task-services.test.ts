import { existsSync } from 'node:fs'
import { connect, Socket } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { IssuedLease } from '../../src/api/types.ts'
import { Wired } from '../daemon/wire.ts'
import { until } from '../fixtures/broker.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { STAGING } from '../fixtures/product.ts'

/** A client behind walls: wherever it means to go, it comes out at the socket. */
class ThroughSocket extends Socket {
  readonly #path: string
  constructor(path: string) {
    super({ allowHalfOpen: false })
    this.#path = path
  }
  override connect(): this {
    return super.connect({ path: this.#path })
  }
}

describe.skipIf(postgresMissing())('a confined task and its database', () => {
  let server: Postgres
  let broker: Wired
  beforeAll(async () => {
    server = await startPostgres()
    await server.query('CREATE TABLE customers (name text); INSERT INTO customers VALUES ($$Ada$$)')
    broker = new Wired()
    await broker.prepare(STAGING, server.adminUrl())
  })
  afterAll(async () => {
    await broker?.dispose()
    await server?.dispose()
  })

  function serviceOf({ place }: Pick<IssuedLease, 'place'>) {
    const [service, ...more] = place?.services ?? []
    if (!service || more.length > 0) throw new Error('it has not exactly one service')
    return service
  }

  function clientOf({ variables, place }: Pick<IssuedLease, 'variables' | 'place'>, role?: string) {
    const { PGUSER: user, PGPASSWORD: password, PGDATABASE: database } = variables
    const path = serviceOf({ place }).socket
    const stream = () => new ThroughSocket(path)
    return new pg.Client({ user: role ?? user, password, database, ssl: false, stream })
  }

  it('is refused a database behind a socket of the machine', async () => {
    const url = server
      .adminUrl()
      .replace(/@[^/]+\//, '@/')
      .concat('?host=%2Frun%2Fpostgresql')
    const stored = await broker.run(
      ['connect', 'postgres', 'pg-local', '--secret-stdin', '--no-check'],
      { input: url },
    )
    expect(stored.status).toBe(0)
    const file = STAGING.replace('connection: pg-staging', 'connection: pg-local')
    await broker.prepare(file)
    const body = { environment: 'staging', isolation: 'mask' }
    const { body: refused } = await broker.ask({ method: 'POST', path: '/v1/leases', body })
    expect(refused.error).toMatchObject({
      code: 'isolation_unavailable',
      message: 'grant "db" leads to a socket of this machine, which a task at "mask" does not have',
      hint: 'store "pg-local" with a host and port, or use --isolation scrub',
    })
    await broker.prepare(STAGING)
  })

  it('is led to no service at mask, where it has the network of the machine', async () => {
    const { place } = await broker.issue({ isolation: 'mask' })
    expect(place?.services).toEqual([])
  })

  it('reaches it by the socket that its variables’ host and port lead to', async () => {
    const issued = await broker.issue({ isolation: 'confine' })
    const { host, port } = serviceOf(issued)
    expect([host, String(port)]).toEqual([issued.variables['PGHOST'], issued.variables['PGPORT']])
    const client = clientOf(issued)
    await client.connect()
    const { rows } = await client.query('SELECT name FROM customers')
    expect(rows).toEqual([{ name: 'Ada' }])
    await client.end()
  })

  it('is cut off within 100 ms of its end, and finds no way there any more', async () => {
    const issued = await broker.issue({ isolation: 'confine' })
    const { socket: path } = serviceOf(issued)
    // Not logged in: the server itself would let it be for a minute.
    const socket = connect(path)
    await new Promise((done) => socket.once('connect', done))
    const cut = new Promise<number>((done) =>
      socket.resume().once('close', () => done(performance.now())),
    )
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${issued.lease.id}` })
    const over = performance.now()
    expect((await cut) - over).toBeLessThan(100)
    await until('the socket is gone', () => !existsSync(path))
    await expect(new Promise((_, fail) => connect(path).once('error', fail))).rejects.toMatchObject(
      { code: 'ENOENT' },
    )
  })
})
