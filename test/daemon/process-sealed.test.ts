import { spawn } from 'node:child_process'
import { chownSync, lstatSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BIN, collect, type Result, TestBroker } from '../fixtures/broker.ts'

/** Root may read everything, so root tries it as somebody else. */
const AS_SOMEBODY =
  process.getuid?.() === 0
    ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
    : []

let broker: TestBroker
beforeEach(() => {
  broker = new TestBroker()
  if (AS_SOMEBODY.length > 0) chownSync(broker.folder, 65534, 65534)
})
afterEach(() => broker.dispose())

function run(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const [program = '', ...args] = [...AS_SOMEBODY, ...command]
  return collect(spawn(program, args, { env: broker.env(env), stdio: 'pipe' }))
}

async function start(loader?: string): Promise<number> {
  const env = loader === undefined ? {} : { BROKER_TEST_LOADER: loader }
  const started = await run([process.execPath, BIN, 'daemon', 'start'], env)
  expect([started.status, started.err]).toEqual([0, ''])
  const pid = broker.daemonPid()
  if (pid === undefined) throw new Error('there is no daemon')
  return pid
}

async function findings(): Promise<string[]> {
  const { out } = await run([process.execPath, BIN, 'doctor', '--json'])
  const { sections } = JSON.parse(out) as {
    sections: { title: string; findings: { message: string }[] }[]
  }
  const own = sections.find(({ title }) => title === 'daemon')
  return (own?.findings ?? []).map(({ message }) => message)
}

describe.skipIf(process.platform !== 'linux')('a daemon that its own user looks into', () => {
  it('shows neither its memory nor its environment', async () => {
    const pid = await start('sealed')
    for (const file of ['environ', 'maps', 'mem']) {
      const looked = await run(['dd', `if=/proc/${pid}/${file}`, 'bs=1', 'count=1', 'of=/dev/null'])
      expect([file, looked.status]).toEqual([file, 1])
      expect(looked.err).toMatch(/Permission denied/)
    }
    expect((await run(['cat', join(broker.home, 'state', 'daemon-loader')])).status).toBe(1)
    expect(await findings()).toContain('no program of yours can read the memory of the daemon')
  })

  it('would show it without, and doctor says so', async () => {
    const pid = await start()
    expect((await run(['cat', `/proc/${pid}/environ`])).out).toContain('BROKER_HOME=')
    const said = (await findings()).join('\n')
    expect(said).not.toContain('no program of yours can read')
    expect(said).toMatch(/ptrace_scope/)
  })

  it('leaves no core file', async () => {
    for (const loader of [undefined, 'sealed']) {
      const limits = readFileSync(`/proc/${await start(loader)}/limits`, 'latin1')
      expect(limits).toMatch(/^Max core file size\s+0\s+0\s/m)
      await run([process.execPath, BIN, 'daemon', 'stop'])
    }
  })

  it('starts all the same where such a loader does not work', async () => {
    const pid = await start('/bin/false')
    expect((await run(['cat', `/proc/${pid}/environ`])).out).toContain('BROKER_HOME=')
  })

  it('starts all the same where none can be made', async () => {
    mkdirSync(join(broker.home, 'state', 'daemon-loader', 'in the way'), { recursive: true })
    if (AS_SOMEBODY.length > 0) {
      for (const folder of ['.', 'state']) chownSync(join(broker.home, folder), 65534, 65534)
    }
    await start('sealed')
    expect(lstatSync(join(broker.home, 'state', 'daemon-loader')).isDirectory()).toBe(true)
  })

  it('starts by a loader that nobody can read, the same as the system’s', async () => {
    await start('sealed')
    const { mode, size } = statSync(join(broker.home, 'state', 'daemon-loader'))
    expect(mode & 0o777).toBe(0o100)
    expect(size).toBeGreaterThan(10_000)
  })
})
