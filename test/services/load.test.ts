import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BIN, collect, isAlive, type Result, until } from '../fixtures/broker.ts'
import { Ledger } from '../fixtures/ledger.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { Product, STAGING, TOKENS_ONLY } from '../fixtures/product.ts'

let broker: Product
beforeEach(() => {
  broker = new Product()
})
afterEach(() => broker?.dispose())

interface LeaseFacts {
  readonly id: string
  readonly state: string
  readonly endReason: string | null
}
const leases = async (...flags: string[]) =>
  (await broker.json<{ leases: LeaseFacts[] }>(['tokens', ...flags])).leases

/** Starts `count` tasks, `width` at a time, all of which wait for one file; then lets all of them end. */
async function together(count: number, width: number, whileAllLive: () => Promise<void>) {
  const gate = join(broker.folder, 'gate')
  const ready = join(broker.folder, 'ready')
  mkdirSync(ready)
  const script = `: > "${ready}/$BROKER_LEASE"; while [ ! -e "${gate}" ]; do sleep 1; done`
  const running: Promise<Result>[] = []
  const early: Result[] = []
  try {
    for (let started = 0; started < count; started++) {
      const waiting = () => started - readdirSync(ready).length - early.length
      await until('the others have their leases', () => waiting() < width, 60_000)
      const args = ['exec', '--env', 'staging', '--quiet', '--', 'sh', '-c', script]
      const ended = collect(broker.spawn(args, { stdio: ['ignore', 'pipe', 'pipe'] }))
      ended.then((result) => early.push(result))
      running.push(ended)
    }
    const all = () => readdirSync(ready).length + early.length === count
    await until('every task has its lease', all, 60_000)
    expect(early).toEqual([])
    await whileAllLive()
  } finally {
    writeFileSync(gate, '')
  }
  return Promise.all(running)
}

const FINE = { status: 0, out: '', err: '' }

describe('many at once', () => {
  it('200 tasks hold 200 leases at the same moment, and all are revoked', async () => {
    await broker.prepare(TOKENS_ONLY)
    const results = await together(200, 12, async () => {
      const live = await leases()
      expect(live.filter(({ state }) => state === 'active')).toHaveLength(200)
      expect(broker.daemons()).toHaveLength(1)
    })
    for (const result of results) expect(result).toMatchObject(FINE)
    expect(await leases()).toEqual([])
    const all = await leases('--all')
    expect(new Set(all.map(({ id }) => id)).size).toBe(200)
    for (const lease of all)
      expect(lease).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
    expect(broker.daemons()).toHaveLength(1)
    await broker.must(['audit', 'verify'])
  }, 300_000)

  describe.skipIf(postgresMissing())('with a database', () => {
    let server: Postgres
    afterEach(() => server?.dispose())

    it('40 tasks hold 40 roles at the same moment, and none is left', async () => {
      server = await startPostgres({ settings: { log_timezone: 'UTC' } })
      await server.query('CREATE TABLE orders (id int)')
      await broker.prepare(STAGING, server.adminUrl())
      const ledger = new Ledger(server)
      const results = await together(40, 12, async () => {
        expect(await ledger.roles()).toHaveLength(40)
        expect(broker.daemons()).toHaveLength(1)
      })
      for (const result of results) expect(result).toMatchObject(FINE)
      expect(await ledger.roles()).toEqual([])
      expect(await ledger.violations(broker)).toEqual([])
    }, 300_000)
  })
})

describe('one daemon for one home', () => {
  it('twenty commands that race to start it all succeed, with one daemon', async () => {
    const kinds = [['tokens'], ['exec', '--env', 'staging', '--', 'true'], ['daemon', 'start']]
    const race = Array.from({ length: 20 }, (_, at) => broker.run(kinds[at % 3] ?? ['tokens']))
    const results = await Promise.all(race)
    expect(results.map(({ status, err }) => (status === 0 ? 0 : err))).toEqual(Array(20).fill(0))
    await until('those that made way have gone', () => broker.daemons().length === 1)
    expect(broker.daemonPid()).toBe(broker.daemon())
    const { entries } = await broker.json<{ entries: { type: string }[] }>(['audit', 'list'])
    expect(entries.filter(({ type }) => type === 'daemon.started')).toHaveLength(1)
    await broker.must(['audit', 'verify'])
  })

  it('a second one in the foreground is refused', async () => {
    await broker.must(['daemon', 'start'])
    const first = broker.daemon()
    const second = await broker.run(['daemon', 'run'])
    expect(second.status).toBe(1)
    expect(second.err).toContain(`a daemon of this home runs already, pid ${first}\nhint: `)
    expect(broker.daemons()).toEqual([first])
  })

  it('two in the foreground at once: one serves, the other is refused', async () => {
    const both = [1, 2].map(() => broker.spawn(['daemon', 'run'], { stdio: 'pipe' }))
    const loser = await Promise.race(both.map(async (one) => ({ one, end: await collect(one) })))
    expect(loser.end.status).toBe(1)
    expect(loser.end.err).toContain('a daemon of this home runs already')
    const winner = both.find((one) => one !== loser.one) as ChildProcess
    await until('the other serves', async () => (await status()).running)
    expect((await status()).pid).toBe(winner.pid)
  })

  const status = async () => {
    const { out } = await broker.run(['daemon', 'status', '--json'])
    return JSON.parse(out) as { running: boolean; pid: number | null }
  }

  it('stops when told to, and the next command starts another', async () => {
    await broker.must(['daemon', 'start'])
    const first = broker.daemon()
    await broker.must(['daemon', 'stop'])
    expect(isAlive(first)).toBe(false)
    expect(existsSync(broker.socket)).toBe(false)
    expect((await broker.run(['daemon', 'status'])).status).toBe(5)
    await broker.must(['tokens'])
    expect(broker.daemon()).not.toBe(first)
  })

  it('comes back after kill -9 with the next command, which notices nothing', async () => {
    await broker.must(['daemon', 'start'])
    const first = broker.daemon()
    await broker.kill(first)
    expect(existsSync(broker.socket)).toBe(true) // stale, as it was left
    expect(await broker.run(['tokens'])).toMatchObject({ status: 0 })
    expect(broker.daemon()).not.toBe(first)
  })

  it('is not kept away by a stale socket, a stale lock file and the pid of a stranger', async () => {
    const stranger = spawn('sleep', ['600'])
    try {
      for (const folder of ['run', 'state', 'config']) {
        mkdirSync(join(broker.home, folder), { recursive: true, mode: 0o700 })
      }
      await leaveSocket(broker.socket)
      writeFileSync(join(broker.home, 'run', 'daemon.pid'), `${stranger.pid}\n`)
      writeFileSync(join(broker.home, 'state', 'daemon.lock'), '')
      await broker.must(['exec', '--env', 'staging', '--', 'true'])
      await broker.must(['daemon', 'stop'])
      writeFileSync(join(broker.home, 'run', 'daemon.pid'), `${stranger.pid}\n`)
      await broker.must(['daemon', 'stop'])
      expect(isAlive(stranger.pid ?? 0)).toBe(true)
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  it('is not kept away by a plain file where its socket should be', async () => {
    mkdirSync(join(broker.home, 'run'), { recursive: true, mode: 0o700 })
    writeFileSync(broker.socket, 'not a socket')
    await broker.must(['tokens'])
    expect(broker.daemons()).toHaveLength(1)
  })

  it('serves its own home alone', async () => {
    const other = new Product()
    try {
      await broker.must(['daemon', 'start'])
      await other.must(['exec', '--env', 'staging', '--', 'true'])
      expect(broker.daemon()).not.toBe(other.daemon())
      expect(await leases('--all')).toEqual([])
    } finally {
      await other.dispose()
    }
  })
})

describe('a newer command finds an older daemon', () => {
  /** The same product that calls itself 0.0.1. */
  function older(): string {
    const root = join(broker.folder, 'older')
    cpSync(join(BIN, '..', '..'), root, { recursive: true })
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    let changed = 0
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || !/\.(c?js|json)$/.test(path)) continue
      const text = readFileSync(path, 'utf8')
      if (!text.includes(`"${version}"`)) continue
      writeFileSync(path, text.replaceAll(`"${version}"`, '"0.0.1"'))
      changed++
    }
    expect(changed).toBeGreaterThan(2)
    return join(root, 'bin', 'run.js')
  }
  const version = async () => (await broker.json<{ version: string }>(['daemon', 'status'])).version

  it('and replaces it; the older exec goes on with its lease', async () => {
    const bin = older()
    const script = 'echo "$BROKER_LEASE"; exec cat'
    const args = [bin, 'exec', '--env', 'staging', '--isolation', 'scrub', '--', 'sh', '-c', script]
    const old = spawn(process.execPath, args, { env: broker.env(), stdio: 'pipe' })
    let out = ''
    old.stdout.on('data', (bytes) => {
      out += bytes
    })
    let err = ''
    old.stderr.on('data', (bytes) => {
      err += bytes
    })
    await until('it has its lease', () => out.includes('\n'))
    expect(await version()).toBe('0.0.1')
    const first = broker.daemon()

    await broker.must(['tokens'])
    const now = await version()
    expect(now).not.toBe('0.0.1')
    await until('the old one is gone', () => !isAlive(first))
    // Longer than the new one waits for the sessions of the old.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(await leases()).toMatchObject([{ id: out.trim(), state: 'active' }])

    // An older command does not turn it back.
    const again = spawn(process.execPath, [bin, 'tokens'], { env: broker.env(), stdio: 'pipe' })
    expect((await collect(again)).status).toBe(0)
    expect(await version()).toBe(now)

    const ended = new Promise((resolve) => old.once('close', resolve))
    old.stdin.end()
    expect(await ended).toBe(0)
    expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    expect(await leases('--all')).toMatchObject([{ state: 'revoked', endReason: 'task_ended' }])
    await broker.must(['audit', 'verify'])
  })

  it('and replaces it while exec itself is the newer command', async () => {
    const bin = older()
    const start = spawn(process.execPath, [bin, 'daemon', 'start'], {
      env: broker.env(),
      stdio: 'pipe',
    })
    expect((await collect(start)).status).toBe(0)
    const task = await broker.startTask()
    await until('the new one serves', async () => (await version()) !== '0.0.1')
    expect(await leases()).toMatchObject([{ id: task.lease, state: 'active' }])
    expect((await task.finish()).status).toBe(0)
    expect(await leases('--all')).toMatchObject([{ id: task.lease, state: 'revoked' }])
  })
})

/** What a daemon that was killed leaves: a socket file that nobody listens at. */
async function leaveSocket(path: string): Promise<void> {
  const listen = `require('node:net').createServer().listen(${JSON.stringify(path)})`
  const holder = spawn(process.execPath, ['-e', listen])
  await until('it listens', () => existsSync(path))
  holder.kill('SIGKILL')
  await new Promise((gone) => holder.once('exit', gone))
  expect(existsSync(path)).toBe(true)
}
