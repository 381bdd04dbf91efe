import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BIN, collect, isAlive, TestBroker, until } from '../fixtures/broker.ts'

let broker: TestBroker
beforeEach(() => {
  broker = new TestBroker()
})
afterEach(() => broker.dispose())

/** A task that tells its own pid and its lease, and goes on until its standard input ends. */
async function startTask() {
  const script = 'echo "$$ $BROKER_LEASE"; cat >/dev/null; echo done'
  const child = broker.spawn(['exec', '--env', 'staging', '--', 'sh', '-c', script], {
    stdio: 'pipe',
  })
  if (!child.stdout || !child.stderr) throw new Error('no pipes')
  let err = ''
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const [pid, lease] = line.toString().trim().split(' ')
  return { child, pid: Number(pid), lease: lease ?? '', err: () => err }
}

const stateOf = async (id: string) => (await broker.leases()).find((lease) => lease.id === id)

function daemon(): number {
  const pid = broker.daemonPid()
  if (pid === undefined) throw new Error('there is no daemon')
  return pid
}

describe('when something is killed', () => {
  it('kill -9 of exec ends the lease', async () => {
    const task = await startTask()
    task.child.kill('SIGKILL')
    await until('the lease has ended', async () => (await stateOf(task.lease))?.state === 'revoked')
    expect(await stateOf(task.lease)).toMatchObject({ endReason: 'task_ended' })
  })

  it('kill -9 of the child ends the lease with 137', async () => {
    const task = await startTask()
    process.kill(task.pid, 'SIGKILL')
    expect((await collect(task.child)).status).toBe(137)
    expect(await stateOf(task.lease)).toMatchObject({ state: 'revoked', endNote: 'signal SIGKILL' })
  })

  it('kill -9 of the daemon is survived by task and lease', async () => {
    const task = await startTask()
    const first = daemon()
    process.kill(first, 'SIGKILL')
    await until('another daemon serves', () => {
      const pid = broker.daemonPid()
      return pid !== undefined && pid !== first
    })
    // Longer than the new daemon waits for a session to come back.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(await stateOf(task.lease)).toMatchObject({ state: 'active' })
    expect(isAlive(task.pid)).toBe(true)
    const result = await collect(task.child)
    expect(result.status).toBe(0)
    expect(task.err()).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    expect(await stateOf(task.lease)).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })

  it('a daemon that hangs is replaced, and the task goes on', async () => {
    const task = await startTask()
    const first = daemon()
    // Its identity is taken down with the first ping.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    process.kill(first, 'SIGSTOP')
    await until('it is killed', () => !isAlive(first))
    await until('another daemon serves', () => broker.daemonPid() !== undefined)
    const result = await collect(task.child)
    expect(result.status).toBe(0)
    await until('the lease has ended', async () => (await stateOf(task.lease))?.state === 'revoked')
  })

  it('exec that was itself stopped does not take its own silence for the daemon’s', async () => {
    const task = await startTask()
    const first = daemon()
    process.kill(task.child.pid ?? 0, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 9000)) // longer than the silence it tolerates
    process.kill(task.child.pid ?? 0, 'SIGCONT')
    const result = await collect(task.child)
    expect(result.status).toBe(0)
    expect(broker.daemonPid()).toBe(first)
    expect(await stateOf(task.lease)).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })

  it('a revocation from outside is told to the person, and the task goes on', async () => {
    const task = await startTask()
    expect((await broker.run(['revoke', task.lease])).status).toBe(0)
    await until('the person is told', () => task.err().includes('ended early (revoked)'))
    expect(isAlive(task.pid)).toBe(true)
    expect((await collect(task.child)).status).toBe(0)
  })
})

describe('an upgrade', () => {
  it('replaces the older daemon, and no running task loses its lease', async () => {
    const old = await startTask()
    const first = daemon()
    const root = join(dirname(BIN), '..')
    const newer = join(broker.folder, 'newer')
    cpSync(root, newer, { recursive: true })
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    for (const file of readdirSync(join(newer, 'dist'), { recursive: true, encoding: 'utf8' })) {
      if (!/\.c?js$/.test(file)) continue
      const path = join(newer, 'dist', file)
      const text = readFileSync(path, 'utf8')
      writeFileSync(path, text.replaceAll(`"${version}"`, '"9999.0.0"'))
    }
    const flags = ['--isolation', 'scrub', '--env', 'staging']
    const args = [join(newer, 'bin', 'run.js'), 'exec', ...flags, '--', 'echo', 'hello']
    const result = await collect(spawn(process.execPath, args, { env: broker.env() }))
    expect(result).toMatchObject({ status: 0, out: 'hello\n' })
    expect(daemon()).not.toBe(first)
    await until('the other task is back', async () => {
      const lease = await stateOf(old.lease)
      return lease?.state === 'active'
    })
    expect((await collect(old.child)).status).toBe(0)
    expect(await stateOf(old.lease)).toMatchObject({ state: 'revoked', endNote: 'exit 0' })
  })
})

describe('what the daemon gets from the shell that starts it', () => {
  it('is neither a credential nor the passphrase of the vault', async () => {
    const env = { GITHUB_TOKEN: 'canary-token', BROKER_VAULT_PASSPHRASE: 'canary-passphrase' }
    const result = await broker.exec(['true'], [], { env })
    expect(result.status).toBe(0)
    const pid = daemon()
    for (const file of ['environ', 'cmdline']) {
      expect(readFileSync(`/proc/${pid}/${file}`, 'latin1')).not.toContain('canary')
    }
    expect(readFileSync(join(broker.home, 'state', 'daemon.log'), 'utf8')).not.toContain('canary')
  })
})
