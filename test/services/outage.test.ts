import { createServer } from 'node:net'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { Ledger } from '../fixtures/ledger.ts'
import {
  type NarrowAdmin,
  type Postgres,
  postgresMissing,
  startPostgres,
} from '../fixtures/postgres.ts'
import { Product, STAGING } from '../fixtures/product.ts'

interface LeaseFacts {
  readonly id: string
  readonly state: string
  readonly endReason: string | null
  readonly grants: readonly {
    readonly name: string
    readonly state: string
    readonly possiblyLiveUntil: string | null
    readonly lastError?: string
  }[]
}

/** Longer than the pause between two tries can be after the few failures of a test. */
const BACK_MS = 90_000

describe.skipIf(postgresMissing())('the database goes away', () => {
  let server: Postgres
  let admin: NarrowAdmin
  let broker: Product
  let ledger: Ledger
  beforeEach(async () => {
    server = await startPostgres({
      settings: { log_timezone: 'UTC', max_connections: '16', superuser_reserved_connections: '8' },
    })
    await server.query('CREATE TABLE orders (id int)')
    admin = await server.createNarrowAdmin('postgres')
    broker = new Product()
    await broker.prepare(STAGING, admin.url('postgres'))
    ledger = new Ledger(server)
  })
  afterEach(async () => {
    server?.resume()
    await broker?.dispose()
    await server?.dispose()
  })

  const leases = async (...flags: string[]) =>
    (await broker.json<{ leases: LeaseFacts[] }>(['tokens', ...flags])).leases
  const dbOf = (lease: LeaseFacts | undefined) => lease?.grants.find(({ name }) => name === 'db')

  /** The lease is shown for what it is: not ended, possibly working, and why. */
  async function expectHonest(id: string, error: string): Promise<void> {
    const lease = (await leases()).find((one) => one.id === id)
    expect(lease).toMatchObject({ state: 'revoking', endedAt: null })
    const grant = dbOf(lease)
    expect(grant).toMatchObject({ state: 'revoking', lastError: error })
    expect(Date.parse(grant?.possiblyLiveUntil ?? '')).toBeGreaterThan(Date.now())
  }

  async function recovered(): Promise<void> {
    await ledger.empty(BACK_MS)
    await until('no lease is live', async () => (await leases()).length === 0, BACK_MS)
    expect(await ledger.violations(broker)).toEqual([])
  }

  describe('while a lease is made', () => {
    it('stopped: exec fails with 125 and names the server, and nothing is left', async () => {
      await server.stop()
      const result = await broker.exec(['true'])
      expect(result).toMatchObject({ status: 125, out: '' })
      expect(result.err).toContain('broker: the server of "pg-staging" does not answer\nhint: ')
      const [lease] = await leases('--all')
      if (lease?.endReason === null) throw new Error('it says nothing of why it ended')
      await server.start()
      await recovered()
    })

    it('accepting nothing: exec fails when the call’s time is over, and nothing is left', async () => {
      server.pause()
      const began = performance.now()
      const result = await broker.exec(['true'])
      expect(result).toMatchObject({ status: 125, out: '' })
      expect(result.err).toMatch(/^broker: the server of "pg-staging" .+\nhint: /)
      expect(performance.now() - began).toBeLessThan(45_000)
      expect(dbOf((await leases())[0])).toMatchObject({ state: 'revoking' })
      server.resume()
      await recovered()
    })

    it('stopped in the middle of the mint: what was begun is found and ended', async () => {
      // Whoever holds this lock keeps a CREATE ROLE of another from its end.
      const holder = new pg.Client({ connectionString: server.adminUrl() })
      holder.on('error', () => {})
      await holder.connect()
      await holder.query('BEGIN; LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE')
      const waiting = broker.exec(['true'])
      await until('the mint has begun', () => ledger.created().length > 0)
      await server.stop()
      expect((await waiting).status).toBe(125)
      await server.start()
      await recovered()
    })

    it('no connection left: exec says so, and nothing is left', async () => {
      await disconnectAdmin()
      const guests = await fillSlots()
      const result = await broker.exec(['true'])
      expect(result.status).toBe(125)
      expect(result.err).toContain('broker: the server of "pg-staging" has no connection left\n')
      for (const guest of guests) await guest.end()
      await recovered()
    })

    it('another admin password: exec says that the login was refused', async () => {
      await changePassword('another one')
      const result = await broker.exec(['true'])
      expect(result.status).toBe(125)
      expect(result.err).toContain('broker: the server of "pg-staging" refused the login\nhint: ')
      expect(result.err).not.toContain(admin.password)
      await connectAgain('another one')
      await recovered()
    })
  })

  describe('while a lease is ended', () => {
    it('stopped: exec gives the child’s code after ten seconds, and the role goes when it is back', async () => {
      const task = await broker.startTask()
      await server.stop()
      const began = performance.now()
      const result = await task.finish()
      expect(performance.now() - began).toBeLessThan(14_000)
      expect(result.status).toBe(0)
      expect(result.err).toContain(
        '\nbroker: still revoking db (the server of "pg-staging" does not answer): see broker tokens\n',
      )
      await expectHonest(task.lease, 'the server of "pg-staging" does not answer')
      await server.start()
      await recovered()
    })

    it('accepting nothing: the child’s own code after ten seconds all the same', async () => {
      const task = await broker.startTask()
      server.pause()
      await broker.kill(task.pid)
      const began = performance.now()
      const result = await task.ended
      expect(performance.now() - began).toBeLessThan(14_000)
      expect(result.status).toBe(137)
      expect(result.err).toContain('\nbroker: still revoking db')
      expect((await leases())[0]).toMatchObject({ id: task.lease, state: 'revoking' })
      server.resume()
      await recovered()
    })

    it('kept down: it tries again and again, says since when it may live, and recovers', async () => {
      const task = await broker.startTask()
      await server.stop()
      const door = await closedDoor(server.port)
      try {
        expect((await task.finish()).status).toBe(0)
        await until('it knocked three times', () => door.knocks() >= 3, BACK_MS)
        await expectHonest(task.lease, 'the server of "pg-staging" dropped the connection')
        // A daemon that is started in between goes on where the other was.
        await broker.must(['daemon', 'stop'])
        await broker.must(['daemon', 'start'])
        const before = door.knocks()
        await until('the next one knocks', () => door.knocks() > before, BACK_MS)
      } finally {
        await door.close()
      }
      await server.start()
      await recovered()
      const entries = await broker.json<{ entries: { type: string; lease: string }[] }>([
        'audit',
        'list',
        '--lease',
        task.lease,
      ])
      const types = entries.entries.map(({ type }) => type)
      // One entry for the trouble, not one for every try.
      expect(types.filter((type) => type === 'lease.retrying')).toHaveLength(1)
      expect(types.at(-1)).toBe('lease.revoked')
    })

    it('no connection left: it goes on, and ends it when there is one', async () => {
      const task = await broker.startTask()
      await disconnectAdmin()
      const guests = await fillSlots()
      expect((await task.finish()).status).toBe(0)
      await expectHonest(task.lease, 'the server of "pg-staging" has no connection left')
      for (const guest of guests) await guest.end()
      await recovered()
    })
  })

  describe('the admin’s password is changed while a lease lives', () => {
    it('is told, and the connection may be stored anew, but not for another server', async () => {
      const task = await broker.startTask()
      await changePassword('rotated')
      expect((await task.finish()).status).toBe(0)
      await expectHonest(task.lease, 'the server of "pg-staging" refused the login')
      const args = ['connect', 'postgres', 'pg-staging', '--secret-stdin']

      const elsewhere = new URL(urlWith('rotated'))
      elsewhere.hostname = 'localhost'
      const moved = await broker.run([...args, '--json'], { input: elsewhere.href })
      expect(moved.status).toBe(1)
      expect(JSON.parse(moved.out || moved.err)).toMatchObject({
        error: {
          code: 'conflict',
          message: 'connection "pg-staging" has 1 live grants at another address',
        },
      })
      const unchecked = await broker.run([...args, '--no-check'], { input: elsewhere.href })
      expect(unchecked.status).toBe(1)
      expect(await ledger.roles()).toEqual([task.role])

      const wrong = await broker.run(args, { input: urlWith('wrong') })
      expect(wrong.status).toBe(6)
      const gone = await broker.run(['disconnect', 'pg-staging'])
      expect(gone.err).toContain('connection "pg-staging" still has 1 live grants')

      await connectAgain('rotated')
      await recovered()
    })
  })

  function urlWith(password: string): string {
    const url = new URL(admin.url('postgres'))
    url.password = password
    return url.href
  }

  async function changePassword(password: string): Promise<void> {
    await server.query(
      `ALTER ROLE ${pg.escapeIdentifier(admin.role)} PASSWORD ${pg.escapeLiteral(password)}`,
    )
    await disconnectAdmin()
  }

  async function connectAgain(password: string): Promise<void> {
    const args = ['connect', 'postgres', 'pg-staging', '--secret-stdin']
    await broker.must(args, { input: urlWith(password) })
  }

  /** The daemon keeps sessions for a while; without them it has to log in again. */
  async function disconnectAdmin(): Promise<void> {
    await server.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1',
      [admin.role],
    )
    await until('it is out', async () => {
      const text = 'SELECT FROM pg_stat_activity WHERE usename = $1'
      return (await server.query(text, [admin.role])).length === 0
    })
  }

  /** Takes every connection that the server has for roles that are no superuser. */
  async function fillSlots(): Promise<pg.Client[]> {
    const guests: pg.Client[] = []
    await server.query(`CREATE ROLE guest LOGIN PASSWORD 'guest'`)
    for (;;) {
      const guest = new pg.Client({
        host: server.host,
        port: server.port,
        user: 'guest',
        password: 'guest',
        database: 'postgres',
        ssl: false,
      })
      try {
        await guest.connect()
      } catch (error) {
        expect(error).toMatchObject({ code: '53300' })
        return guests
      }
      guests.push(guest)
    }
  }
})

/** Where the server was: accepts, hangs up, and counts. */
async function closedDoor(port: number) {
  let knocks = 0
  const door = createServer((socket) => {
    knocks++
    socket.on('error', () => {})
    socket.destroy()
  })
  await new Promise<void>((done) => door.listen(port, '127.0.0.1', done))
  return {
    knocks: () => knocks,
    close: () => new Promise((done) => door.close(done)),
  }
}
