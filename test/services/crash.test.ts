import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isAlive, until } from '../fixtures/broker.ts'
import { Ledger } from '../fixtures/ledger.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { Product, STAGING, type Task } from '../fixtures/product.ts'

interface LeaseFacts {
  readonly id: string
  readonly state: string
  readonly endReason: string | null
  readonly endNote: string | null
}

describe.skipIf(postgresMissing())('kill -9 at every crash point', () => {
  let server: Postgres
  let broker: Product
  let ledger: Ledger
  beforeAll(async () => {
    server = await startPostgres({ settings: { log_timezone: 'UTC' } })
    await server.query('CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)')
  })
  afterAll(() => server?.dispose())
  beforeEach(async () => {
    broker = new Product()
    await broker.prepare(STAGING, server.adminUrl())
    ledger = new Ledger(server)
  })
  afterEach(() => broker?.dispose())

  const newest = async () =>
    (await broker.json<{ leases: LeaseFacts[] }>(['tokens', '--all'])).leases[0]

  /** A command starts the daemon; the rest is for the daemon alone to do, and the server to confirm. */
  async function recovered(): Promise<void> {
    await broker.must(['daemon', 'start'])
    await ledger.empty()
    await until('no lease is live', async () => {
      return (await broker.json<{ leases: unknown[] }>(['tokens'])).leases.length === 0
    })
    expect(await ledger.violations(broker)).toEqual([])
  }

  /** Replaces the daemon by one that dies at this point. */
  async function armDaemon(fault: string): Promise<number> {
    await broker.must(['daemon', 'stop'])
    await broker.must(['daemon', 'start'], { env: { BROKER_FAULT: fault } })
    return broker.daemon()
  }

  const exec = (env: NodeJS.ProcessEnv = {}) => broker.exec(['true'], [], { env })

  describe('the daemon dies while the lease is made', () => {
    const rows = [
      { fault: 'C0', minted: 0, lease: undefined },
      { fault: 'C2', minted: 0, lease: { endReason: 'mint_unknown' } },
      { fault: 'C3', minted: 0, lease: { endReason: 'mint_unknown' } },
      // The token is signed; whether the role was begun is a race, and all the same to the rest.
      { fault: 'C4', minted: null, lease: { endReason: 'mint_unknown' } },
      { fault: 'C4:2', minted: 1, lease: { state: 'revoked', endReason: 'mint_unknown' } },
      { fault: 'C5', minted: 1, lease: { state: 'revoked', endReason: 'mint_unknown' } },
      { fault: 'C6', minted: 1, lease: { state: 'revoked', endReason: 'not_acknowledged' } },
    ]
    it.each(rows)('$fault: nothing runs and nothing is left', async ({ fault, minted, lease }) => {
      const armed = await armDaemon(fault)
      const result = await exec()
      expect(result.status).toBe(125)
      expect(result.err).toContain('broker: the daemon went away while it made the lease\nhint: ')
      await until('the daemon is dead', () => !isAlive(armed))
      // Without this the row would prove nothing: there was something to clean up.
      if (minted !== null) expect(await ledger.roles()).toHaveLength(minted)
      await recovered()
      if (lease) expect(await newest()).toMatchObject(lease)
      else expect(await newest()).toBeUndefined()
      if (minted !== null) expect(ledger.created()).toHaveLength(minted)
    })
  })

  describe('the daemon dies while the lease is ended', () => {
    const rows = [
      { fault: 'C12', roles: 1 },
      { fault: 'C13', roles: 0 },
      { fault: 'C14', roles: 0 },
    ]
    it.each(rows)('$fault: the next daemon ends it and tells exec', async ({ fault }) => {
      const armed = await armDaemon(fault)
      const result = await exec()
      expect(isAlive(armed)).toBe(false)
      expect(result.status).toBe(0)
      expect(result.err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
      expect(await ledger.roles()).toEqual([])
      await recovered()
      expect(await newest()).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
      expect(ledger.created()).toHaveLength(1)
    })

    it.each(rows)(
      '$fault in every daemon that exec starts: the first healthy one ends it',
      async ({ fault, roles }) => {
        await broker.must(['daemon', 'stop'])
        const result = await exec({ BROKER_FAULT: fault })
        expect(result.status).toBe(0)
        expect(await ledger.roles()).toHaveLength(roles)
        await recovered()
        expect(await newest()).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
      },
    )
  })

  it('a daemon that dies again while it cleans up leaves it to the third', async () => {
    await armDaemon('C5')
    expect((await exec()).status).toBe(125)
    for (const fault of ['C12', 'C13']) {
      const started = await broker.run(['daemon', 'start'], { env: { BROKER_FAULT: fault } })
      expect([0, 5]).toContain(started.status)
      await until('it is dead', () => broker.daemons().length === 0)
    }
    await recovered()
    expect(await newest()).toMatchObject({ state: 'revoked', endReason: 'mint_unknown' })
  })

  describe('exec dies', () => {
    const rows = [
      { fault: 'C7', when: 'before it acknowledged' },
      { fault: 'C8', when: 'before its child' },
      { fault: 'C9', when: 'beside its child' },
    ]
    it.each(rows)('$fault, $when: the end of its socket ends the lease', async ({ fault }) => {
      const result = await exec({ BROKER_FAULT: fault })
      expect(result.status).toBe(137)
      expect(ledger.created()).toHaveLength(1)
      await recovered()
      expect(await newest()).toMatchObject({
        state: 'revoked',
        endReason: 'task_ended',
        endNote: 'the session was lost',
      })
    })

    it('C7, stopped for good with its socket open: the lease was never acknowledged', async () => {
      const stopped = broker.spawn(['exec', '--env', 'staging', '--', 'true'], {
        env: { BROKER_FAULT: 'C7=stop' },
        stdio: 'ignore',
      })
      await until('there is a role', async () => (await ledger.roles()).length === 1)
      await ledger.empty()
      expect(isAlive(stopped.pid ?? 0)).toBe(true)
      expect(await newest()).toMatchObject({ state: 'revoked', endReason: 'not_acknowledged' })
      expect(await ledger.violations(broker)).toEqual([])
    })
  })

  describe('while the child works in the database', () => {
    const LOST = { state: 'revoked', endReason: 'task_ended' }
    const rows: readonly {
      readonly dies: string
      readonly kill: (task: Task) => Promise<void>
      readonly end: object
    }[] = [
      { dies: 'exec', kill: (task) => broker.kill(task.exec.pid), end: LOST },
      {
        dies: 'the child',
        kill: (task) => broker.kill(task.pid),
        end: { ...LOST, endNote: 'signal SIGKILL' },
      },
      {
        dies: 'C11, the daemon and exec',
        kill: async (task) => {
          await broker.kill(broker.daemon())
          await broker.kill(task.exec.pid)
          await broker.killAll()
        },
        end: { ...LOST, endNote: 'the session did not come back' },
      },
      {
        dies: 'everything at once',
        kill: () => broker.killAll(),
        end: { ...LOST, endNote: 'the session did not come back' },
      },
    ]
    it.each(rows)('$dies: its session and its role go away', async ({ kill, end }) => {
      const task = await broker.startTask({ connected: true })
      await until('it is in', async () => (await ledger.sessions()).includes(task.role))
      await kill(task)
      await recovered()
      expect(await newest()).toMatchObject({ id: task.lease, ...end })
    })

    it('kill -9 of the child is told as 137', async () => {
      const task = await broker.startTask()
      await broker.kill(task.pid)
      expect((await task.ended).status).toBe(137)
      await recovered()
    })

    it('C10, the daemon: exec brings it back, the session lives on, the end is the child’s', async () => {
      const task = await broker.startTask({ connected: true })
      await until('it is in', async () => (await ledger.sessions()).includes(task.role))
      const first = broker.daemon()
      await broker.kill(first)
      await until('another serves', () => broker.daemons().some((pid) => pid !== first))
      // The new one gives lost sessions two seconds, and would then end this lease.
      await new Promise((resolve) => setTimeout(resolve, 3000))
      expect(await ledger.sessions()).toEqual([task.role])
      expect(await ledger.violations(broker, [task.lease])).toEqual([])
      expect(await task.finish()).toMatchObject({
        status: 0,
        err: expect.stringMatching(/\nbroker: revoked in \d+ ms\n$/),
      })
      await recovered()
      expect(await newest()).toMatchObject({ ...LOST, endNote: 'exit 0' })
    })

    it('C10 three times over: the task goes on', async () => {
      const task = await broker.startTask({ connected: true })
      for (let round = 0; round < 3; round++) {
        const now = broker.daemon()
        await broker.kill(now)
        await until('another serves', () => broker.daemonPid() !== undefined)
        await until('it answers', async () => (await newest())?.state === 'active')
      }
      expect((await task.finish()).status).toBe(0)
      await recovered()
    })
  })

  it('kill -9 of everything in the middle of the issue’s own command leaves no role', async () => {
    const line = 'psql -c "select current_user" && broker tokens; sleep 600'
    const bin = broker.installed()
    const exec = broker.spawn(
      ['exec', '--env', 'staging', '--template', 'staging-dev', '--', 'sh', '-c', line],
      { stdio: 'pipe', env: { PATH: `${bin}:${process.env['PATH']}` } },
    )
    let out = ''
    exec.stdout?.on('data', (bytes) => {
      out += bytes
    })
    await until('it said both', () => /broker_\w+[\s\S]*lse_\w+/.test(out))
    expect(await ledger.roles()).toHaveLength(1)
    await broker.killAll()
    expect(await ledger.roles()).toHaveLength(1) // nobody is there to end it
    await recovered()
    expect(await newest()).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })
})
