// An editor's double (`editors-fake.mjs`), whose one process has all windows of a user data folder, started by the
// product without walls. Its window is closed by a file of that name.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { projectFolder } from '../../src/launch/isolate/prepare.ts'
import { collect, isAlive, TestBroker, until } from '../fixtures/broker.ts'

const FAKE = join(import.meta.dirname, '../unit/editors-fake.mjs')
const EXEC = ['exec', '--env', 'staging']

let broker: TestBroker
let tools: string
let project: string
const running: ChildProcess[] = []
const windows: number[] = []

beforeAll(() => {
  broker = new TestBroker()
  tools = join(broker.folder, 'tools')
  mkdirSync(tools)
  editor('code', `exec '${process.execPath}' '${FAKE}' "$@"`)
})
beforeEach(() => {
  project = mkdtempSync(join(broker.folder, 'project-'))
})
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
  for (const pid of windows.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
})
afterAll(() => broker.dispose())

function editor(name: string, script: string): void {
  writeFileSync(join(tools, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

const env = (more: NodeJS.ProcessEnv = {}) => ({
  PATH: `${tools}:${process.env['PATH']}`,
  ...more,
})

function begin(command: readonly string[], flags: readonly string[] = [], more = {}) {
  const options = { env: env(more), cwd: project, stdio: 'pipe' } as const
  const child = broker.spawn([...EXEC, ...flags, '--', ...command], options)
  running.push(child)
  let said = ''
  child.stderr?.on('data', (part) => {
    said += part
  })
  return { child, ended: collect(child), said: () => said }
}

const run = (command: readonly string[], flags: readonly string[] = []) =>
  begin(command, flags).ended

const userData = () => projectFolder(join(broker.home, 'state/ide'), project)

async function windowIn(folder: string): Promise<Record<string, string>> {
  const [lock, shown] = [join(folder, 'code.lock'), join(folder, 'window.json')]
  await until('there is a window', () => existsSync(shown) && read(shown).endsWith('}'))
  windows.push(Number(read(lock)))
  return JSON.parse(read(shown))
}

const read = (path: string) => readFileSync(path, 'utf8')
const close = (folder: string) => writeFileSync(join(folder, 'close'), '')
const newest = async () => (await broker.leases())[0]

describe.runIf(process.platform === 'linux')('an editor in broker exec', () => {
  it('that is open for this project already is not started again', async () => {
    const { ended } = begin(['code', '.'])
    await windowIn(userData())
    const before = await broker.leases()
    const second = await run(['code', '.'])
    expect({ status: second.status, out: second.out }).toEqual({ status: 125, out: '' })
    expect(second.err).toMatch(
      /^broker: "code" is open for this project already\nhint: close its windows first, /,
    )
    expect(await broker.leases()).toEqual(before)
    close(userData())
    expect((await ended).status).toBe(0)
    rmSync(join(userData(), 'window.json'))
    const third = begin(['code', '.']) // what is left of the first is in nobody's way
    await windowIn(userData())
    close(userData())
    expect((await third.ended).status).toBe(0)
  })

  describe('that hands over to a window that was open before', () => {
    const usual = () => join(project, 'usual')

    /** Of the person; and nothing tells that it runs. */
    async function openBefore() {
      spawn(process.execPath, [FAKE, '--user-data-dir', usual()], { stdio: 'ignore' })
      const window = await windowIn(usual())
      rmSync(join(usual(), 'code.lock'))
      return window
    }

    it.each([
      { name: 'as usual', flags: [] },
      { name: 'with --until-ttl, too', flags: ['--until-ttl'] },
      { name: 'with --quiet, too', flags: ['--quiet'] },
    ])('is told, and the lease revoked: $name', async ({ flags }) => {
      expect((await openBefore())['BROKER_LEASE']).toBeUndefined()
      const { status, err } = await run(['code', '--user-data-dir', usual(), '.'], flags)
      expect(status).toBe(0)
      expect(err).toContain(
        "broker: VS Code handed over to a window that was open before: that one has none of this task's credentials; close it and start again\n",
      )
      if (!flags.includes('--quiet')) expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
      expect((await newest())?.state).toBe('revoked')
      expect((await newest())?.actor.command).toBe('code')
    })
  })

  it.each([
    ['--version', 'started as it is'],
    ['--list-extensions', 'started as it is'],
  ])('that opens no window is %s', async (flag) => {
    editor('codium', 'echo "[$*]"')
    const { status, out, err } = await run(['codium', flag])
    expect({ status, out }).toEqual({ status: 0, out: `[${flag}]\n` })
    expect(err).not.toContain('handed over')
  })

  it('that fails is not said to have handed over', async () => {
    editor('codium', 'exit 3')
    const { status, err } = await run(['codium', '.'])
    expect(status).toBe(3)
    expect(err).not.toContain('handed over')
  })

  it('has an instance of its own, with the lease, for as long as its launcher waits', async () => {
    const { child, ended } = begin(['code', '.'])
    const window = await windowIn(userData())
    const lease = await newest()
    expect(window['BROKER_LEASE']).toBe(lease?.id)
    expect(lease?.state).toBe('active')
    expect(child.exitCode).toBeNull()
    close(userData())
    expect((await ended).status).toBe(0)
    expect((await newest())?.state).toBe('revoked')
  })

  it('whose launcher returns keeps its lease until the window is closed', async () => {
    const { child, ended, said } = begin(['code', '.'], [], { FAKE_EDITOR_RETURNS: '1' })
    await windowIn(userData())
    await until('the launcher is gone', () => said().includes('broker: the lease stays until'))
    expect(said()).toContain('broker: the lease stays until VS Code is closed\n')
    expect((await newest())?.state).toBe('active')
    expect(child.exitCode).toBeNull()
    close(userData())
    const { status, err } = await ended
    expect(status).toBe(0)
    expect(err).not.toContain('handed over')
    expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    expect((await newest())?.state).toBe('revoked')
  })

  it('whose launcher has returned is told by a signal, and the lease ends with it', async () => {
    const { child, ended, said } = begin(['code', '.'], [], { FAKE_EDITOR_RETURNS: '1' })
    await windowIn(userData())
    await until('the launcher is gone', () => said().includes('the lease stays until'))
    const pid = windows.at(-1) ?? 0
    child.kill('SIGTERM')
    expect((await ended).status).toBe(0)
    expect(isAlive(pid)).toBe(false)
    expect((await newest())?.state).toBe('revoked')
  })

  it('with --until-ttl is not waited for, and its lease stays', async () => {
    const { ended } = begin(['code', '.'], ['--until-ttl'], { FAKE_EDITOR_RETURNS: '1' })
    await windowIn(userData())
    const { status, err } = await ended
    expect(status).toBe(0)
    expect(err).toContain('stays live until')
    expect((await newest())?.state).toBe('active')
  })
})
