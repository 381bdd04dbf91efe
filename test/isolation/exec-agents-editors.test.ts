// The editor's double behind walls. Its window is closed by a file of that name in its user data.
import { type ChildProcess, execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { commandLines } from '../../src/launch/editors/proc-table.ts'
import { projectFolder } from '../../src/launch/isolate/prepare.ts'
import { collect, until } from '../fixtures/broker.ts'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { EXEC, Machine, USUAL } from './machine.ts'

const WALLS = ['mask', 'confine'] as const
const FAKE = readFileSync(join(import.meta.dirname, '../unit/editors-fake.mjs'), 'utf8')

let machine: Machine
let screen: Server
const running: ChildProcess[] = []

function begin(flags: readonly string[], more: NodeJS.ProcessEnv = {}, args: string[] = ['.']) {
  const env = { PATH: `${machine.home}/.local/bin:${USUAL}`, ...more }
  const child = machine.broker([...EXEC, ...flags, '--', 'code', ...args], { env })
  running.push(child)
  return { child, ended: collect(child) }
}

const at = (level: string) => ['--isolation', level]
const onWayland = () => ({ WAYLAND_DISPLAY: join(machine.folder, 'screen') })
const folder = (name: 'ide' | 'ide-inside') =>
  projectFolder(join(machine.state, name), machine.project)
const inside = (name: string) => join(folder('ide-inside'), name)
const read = (path: string) => readFileSync(path, 'utf8')
const newest = async () => (await machine.leases())[0]?.state

async function windowIn(path: string): Promise<Record<string, string>> {
  const shown = join(path, 'window.json')
  await until('there is a window', () => existsSync(shown) && read(shown).endsWith('}'))
  return JSON.parse(read(shown))
}

describe.runIf(hasBubblewrap()).each(PERSONS)('an editor behind walls, as %s', (person: Person) => {
  beforeAll(async () => {
    machine = new Machine(person)
    machine.put('home/.local/bin/editors-fake.mjs', FAKE)
    const start = `exec '${process.execPath}' "$(dirname "$0")/editors-fake.mjs" "$@"`
    machine.put('home/.local/bin/code', `#!/bin/sh\n${start}\n`, 0o755)
    machine.put('home/.vscode/extensions/one/package.json', '{}')
    if (person === 'nobody') execFileSync('chown', ['-hR', '65534:65534', machine.home])
    screen = createServer((socket) => socket.end()).listen(join(machine.folder, 'screen'))
    await new Promise((resolve) => screen.once('listening', resolve))
    chmodSync(join(machine.folder, 'screen'), 0o777)
    await machine.run(['daemon', 'start'])
  })
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL')
    for (const name of ['ide', 'ide-inside'] as const) rmSync(folder(name), TREE)
  })
  afterAll(async () => {
    screen.close()
    await machine.remove()
  })

  it.each([
    { env: {}, says: 'there is no display to show its window on' },
    { env: { DISPLAY: ':7' }, says: 'its window needs X11, and every program there can type' },
  ])('that has no display apart from others is refused by name: $says', async ({ env, says }) => {
    const before = await machine.leases()
    const { status, err } = await begin(at('mask'), env).ended
    expect(status).toBe(125)
    expect(err).toContain('broker: isolation "mask" is not possible here: VS Code: ')
    expect(err).toContain(says)
    expect(err).toContain('\nhint: start it in a Wayland session; or take --isolation scrub')
    expect(await machine.leases()).toEqual(before)
    expect(existsSync(folder('ide-inside'))).toBe(false)
  })

  it('that has none, and no level of its own, is at scrub, which is said', async () => {
    const { ended } = begin([])
    await windowIn(folder('ide'))
    writeFileSync(join(folder('ide'), 'close'), '')
    const { status, err } = await ended
    expect(status).toBe(0)
    expect(err).toMatch(/^broker: isolation scrub and not confine: VS Code: there is no display/)
  })

  it.each(WALLS)(
    'that is open for this project already is not started again: %s',
    async (level) => {
      const first = begin(at(level), onWayland())
      await windowIn(folder('ide-inside'))
      const before = await machine.leases()
      const { status, err } = await begin(at(level), onWayland()).ended
      expect(status).toBe(125)
      expect(err).toContain('broker: "code" is open for this project already\n')
      expect(await machine.leases()).toEqual(before)
      writeFileSync(inside('close'), '')
      expect((await first.ended).status).toBe(0)
    },
  )

  it.each(WALLS)('shows its window, and its lease lives as long: %s', async (level) => {
    const { child, ended } = begin(at(level), { ...onWayland(), FAKE_EDITOR_RETURNS: '1' })
    const window = await windowIn(folder('ide-inside'))
    expect(window['WAYLAND_DISPLAY']).toBe(onWayland().WAYLAND_DISPLAY)
    expect(window['BROKER_LEASE']).toMatch(/^lse_/)
    await until('it is on the screen', () => existsSync(inside('shown')))
    // What is written behind walls is no settings of an editor without them.
    expect(existsSync(folder('ide'))).toBe(false)
    await until('the launcher is gone', () => !hasLauncher())
    expect(await newest()).toBe('active')
    expect(child.exitCode).toBeNull()
    writeFileSync(inside('close'), '')
    const { status, err } = await ended
    expect(status).toBe(0)
    expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    expect(await newest()).toBe('revoked')
  })

  it.each(WALLS)('is told by a signal when its launcher has returned: %s', async (level) => {
    const { child, ended } = begin(at(level), { ...onWayland(), FAKE_EDITOR_RETURNS: '1' })
    await windowIn(folder('ide-inside'))
    await until('the launcher is gone', () => !hasLauncher())
    await until('it has ended', () => {
      child.kill('SIGTERM')
      return child.exitCode !== null
    })
    expect((await ended).status).toBe(0)
    expect(await newest()).toBe('revoked')
  })

  it('says what will be lost of a user data folder that is not let in', async () => {
    const { ended } = begin(at('mask'), onWayland(), [
      '--user-data-dir',
      `${machine.home}/mine`,
      '.',
    ])
    await until('it runs', hasLauncher)
    for (const child of running) child.kill('SIGTERM')
    expect((await ended).err).toContain(
      `broker: "${machine.home}/mine" is not let in: what VS Code keeps there is lost\n`,
    )
    expect(existsSync(`${machine.home}/mine`)).toBe(false)
  })
})

const TREE = { recursive: true, force: true } as const

/** The double's launcher, and not the process it has started: by its variables. */
function hasLauncher(): boolean {
  const found = commandLines()
    .filter(({ words }) => words.includes(`${machine.home}/.local/bin/editors-fake.mjs`))
    .map(({ pid }) => pid)
  return found.some((pid) => {
    try {
      return !read(`/proc/${pid}/environ`).includes('FAKE_EDITOR_MAIN=1')
    } catch {
      return false
    }
  })
}
