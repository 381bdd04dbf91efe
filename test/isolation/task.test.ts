import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { commandFor, environmentOf, finish, launch, NODE, type Run } from './run.ts'
import { until } from './until.ts'
import { makeWorld, type World } from './world.ts'

let world: World

function begin(run: Run) {
  const [program, ...args] = commandFor(world, run)
  return spawn(program, args, {
    cwd: world.project,
    env: environmentOf(world),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

describe.runIf(hasBubblewrap()).each(PERSONS)('a confined task of %s', (person: Person) => {
  const sh = (code: string, facts: Run['facts'] = {}): Run => ({
    level: 'confine',
    person,
    path: '/bin/sh',
    args: ['-c', code],
    facts,
  })
  beforeAll(() => {
    world = makeWorld(person)
  })
  afterAll(() => world.remove())

  it('does not start in a home or in the system', async () => {
    for (const workTree of [
      world.home,
      '/etc',
      '/',
      world.folder,
      `${world.folder}/broker/state`,
    ]) {
      const { status, stderr, stdout } = await launch(
        world,
        sh('echo ran', { workTree, cwd: workTree }),
      )
      expect({ workTree, status, stdout }).toEqual({ workTree, status: 1, stdout: '' })
      expect(stderr).toContain('cannot be a work tree')
    }
  })

  it('says that a command inside cannot be started', async () => {
    const { status, stderr } = await launch(world, { ...sh(''), path: '/nonexistent/tool' })
    expect(status).toBe(1)
    expect(stderr).toContain("code: 'ENOENT'")
  })

  it('stands while its launcher is at work on something else', async () => {
    const { status, stdout, stderr } = await launch(world, { ...sh('echo ran'), still: true })
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'ran\n', stderr: '' })
  })

  it('has all its walls where their list is longer than a pipe takes at once', async () => {
    let deep = join(world.project, 'long')
    while (deep.length < 3600) deep = join(deep, 'x'.repeat(200))
    mkdirSync(deep, { recursive: true })
    const names = Array.from({ length: 120 }, (_, index) => `.env.${index}`)
    for (const name of names) writeFileSync(join(deep, name), 'KEY=1\n', { mode: 0o644 })
    const code = `ls -A '${deep}' | wc -l; cat '${deep}'/.env.*`
    const { status, stdout, stderr } = await launch(world, sh(code))
    rmSync(join(world.project, 'long'), { recursive: true })
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '120\n', stderr: '' })
  })

  it.each([
    ['its own status', 'exit 42', 42],
    ['that of a signal', 'kill -TERM $$', 143],
    ['that of a signal nobody catches', 'kill -KILL $$', 137],
  ])('ends with %s', async (_, code, status) => {
    expect((await launch(world, sh(code))).status).toBe(status)
  })

  it('gets a signal once, and may clean up', async () => {
    const child = begin(
      sh("trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.05; done"),
    )
    let shown = ''
    child.stdout.on('data', (part) => {
      shown += part
    })
    await until('it is ready', () => shown.includes('ready'))
    child.kill('SIGTERM')
    expect(await finish(child)).toMatchObject({ status: 9 })
    expect(shown.match(/asked/g)).toHaveLength(1)
  })

  it('ends with whoever started it, descendants of all kinds too', async () => {
    const beat = join(world.project, 'beat')
    const loop = 'for i in $(seq 100); do date +%N > beat; sleep 0.05; done'
    const child = begin(sh(`setsid sh -c '${loop}' & sleep 5`))
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await until('it beats', () => existsSync(beat) && readFileSync(beat, 'utf8') !== '')
    child.kill('SIGKILL')
    await ended
    await new Promise((resolve) => setTimeout(resolve, 200))
    const last = readFileSync(beat, 'utf8')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(readFileSync(beat, 'utf8')).toBe(last)
    rmSync(beat)
  })

  it('has no descriptor but the standard ones, nor has any process beside it', async () => {
    const { stdout } = await launch(
      world,
      sh('for p in 1 2 $$; do for f in /proc/$p/fd/*; do readlink $f; done; done'),
    )
    const places = stdout.split('\n').filter((line) => line.startsWith('/'))
    // Ours inside has its own program open for a moment, and nothing of the machine outside.
    expect(places.filter((line) => !/^\/(dev\/null|proc\/|run\/broker\/)/.test(line))).toEqual([])
  })

  it('shows no secret and no path in a command line', async () => {
    const { stdout } = await launch(world, {
      ...sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
      env: { MY_VALUE: 'a-value-of-mine' },
    })
    expect(stdout).toContain('bwrap --args 3')
    expect(stdout).not.toContain('a-value-of-mine')
    expect(stdout).not.toContain('--ro-bind')
  })

  it('runs the command under the name it was called by, with its own variables', async () => {
    const env = {
      NODE_OPTIONS: '--title=x',
      NODE_EXTRA_CA_CERTS: '/ca.pem',
      NODE_USE_ENV_PROXY: '1',
      OTHER: 'y',
    }
    const code = 'echo "$0 $NODE_OPTIONS $NODE_EXTRA_CA_CERTS $NODE_USE_ENV_PROXY $OTHER"'
    const { stdout } = await launch(world, { ...sh(code), env })
    expect(stdout).toBe('/bin/sh --title=x /ca.pem 1 y\n')
  })

  it('has the roots of its lease where the system has its own', async () => {
    writeFileSync(join(world.lease, 'bundle.pem'), 'THE ROOTS\n')
    const { stdout } = await launch(world, sh('cat /etc/ssl/certs/ca-certificates.crt'))
    expect(stdout).toBe('THE ROOTS\n')
  })

  it('keeps caches of its own from task to task', async () => {
    await launch(world, sh('echo kept > ~/.npm/of-the-task; echo gone > ~/of-the-task'))
    const { stdout } = await launch(
      world,
      sh('cat ~/.npm/of-the-task; ls ~/of-the-task ~/.npm/keep 2>/dev/null'),
    )
    expect(stdout).toBe('kept\n')
    expect(existsSync(join(world.home, '.npm/of-the-task'))).toBe(false)
  })

  it('may write what --allow-write names, and nothing beside it', async () => {
    const allowWrite = [join(world.project, '.vscode')]
    const { stdout } = await launch(
      world,
      sh('echo x > .vscode/new && echo one; echo x > .claude/new && echo two', { allowWrite }),
    )
    expect(stdout).toBe('one\n')
    rmSync(join(world.project, '.vscode/new'))
  })

  it('keeps the settings and the state of its agent', async () => {
    const facts = { agentState: ['.my-agent'], alsoRead: ['notes.txt'] }
    const { stdout } = await launch(
      world,
      sh(
        'echo x >> ~/.my-agent/log && echo written; cat ~/notes.txt >/dev/null && echo read; echo y >> ~/notes.txt || echo not',
        facts,
      ),
    )
    expect(stdout).toBe('written\nread\nnot\n')
  })

  it('ends when a masked file is replaced from outside', async () => {
    for (const replace of [replaceByRename, replaceByRemoval, replaceParent]) {
      const child = begin(sh('echo ready; sleep 10'))
      let shown = ''
      child.stdout.on('data', (part) => {
        shown += part
      })
      await until('it is ready', () => shown.includes('ready'))
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(child.exitCode).toBe(null)
      replace(world.project)
      expect((await finish(child)).status).toBe(137)
    }
  })

  describe('and the way out', () => {
    let proxy: Server
    const path = () => join(world.folder, 'run/proxy.sock')
    beforeAll(async () => {
      proxy = createServer({ allowHalfOpen: true }, (socket) => {
        let heard = ''
        socket.on('error', () => {})
        socket.on('data', (part) => {
          heard += part
        })
        socket.on('end', () => socket.end(`heard ${heard.length}`))
      })
      const before = process.umask(0)
      await new Promise<void>((resolve) => proxy.listen(path(), resolve))
      process.umask(before)
    })
    afterAll(() => proxy.close())
    const facts = () => ({ relays: [{ host: '127.0.0.1', port: 4567, from: path() }] })

    it('is at the address the environment names, both ways, to the last byte', async () => {
      const client = `
        const s = require('net').connect({ port: 4567, host: '127.0.0.1', allowHalfOpen: true })
        s.end('x'.repeat(3000000)); s.pipe(process.stdout)`
      const run: Run = {
        level: 'confine',
        person,
        path: NODE,
        args: ['-e', client],
        facts: facts(),
      }
      expect(await launch(world, run)).toMatchObject({ status: 0, stdout: 'heard 3000000' })
    })

    it('is at the name of a service, wherever that name leads outside', async () => {
      const names = [{ name: 'db.example', address: '127.73.0.1' }]
      const relays = [{ host: '127.73.0.1', port: 5432, from: path() }]
      const client = `
        const s = require('net').connect({ port: 5432, host: 'db.example', allowHalfOpen: true })
        s.on('error', (e) => console.log(e.code)); s.end('xyz'); s.pipe(process.stdout)`
      const args = ['-e', client]
      const run: Run = { level: 'confine', person, path: NODE, args, facts: { names, relays } }
      expect(await launch(world, run)).toMatchObject({ status: 0, stdout: 'heard 3' })
      const without = await launch(world, { ...run, facts: { names: [], relays } })
      expect(without.stdout).toMatch(/ENOTFOUND|EAI_AGAIN/)
    })

    it('leaves the loopback inside to the task', async () => {
      const both = `
        const s = require('net').createServer((c) => c.end('own')).listen(8123, '127.0.0.1', () => {
          require('net').connect(8123, '127.0.0.1').on('data', (d) => { console.log(String(d)); process.exit() }) })`
      const run: Run = { level: 'confine', person, path: NODE, args: ['-e', both], facts: facts() }
      expect(await launch(world, run)).toMatchObject({ status: 0, stdout: 'own\n' })
    })

    it('fails before the command runs if it cannot be opened', async () => {
      const relays = [{ host: '198.51.100.1', port: 4567, from: path() }]
      const { status, stdout, stderr } = await launch(world, sh('echo ran', { relays }))
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
      expect(stderr).toContain('the isolated task could not be started')
    })
  })
})

function replaceByRename(project: string): void {
  writeFileSync(join(project, '.env.new.example'), 'KEY=another\n')
  renameSync(join(project, '.env.new.example'), join(project, '.env'))
}

function replaceByRemoval(project: string): void {
  rmSync(join(project, '.env'))
  writeFileSync(join(project, '.env'), 'KEY=another\n')
}

function replaceParent(project: string): void {
  renameSync(join(project, 'config'), join(project, 'config-old'))
  const { mkdirSync } = process.getBuiltinModule('node:fs')
  mkdirSync(join(project, 'config'))
  writeFileSync(join(project, 'config/.env.production'), 'KEY=another\n')
}
