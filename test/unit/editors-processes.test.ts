import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { editorArguments } from '../../src/launch/editors/arguments.ts'
import { EDITORS, type Editor } from '../../src/launch/editors/editor.ts'
import { handedOver } from '../../src/launch/editors/hand-over.ts'
import { refuseOpenInstance } from '../../src/launch/editors/open-instance.ts'
import { procTable } from '../../src/launch/editors/proc-table.ts'
import { type ProcessTable, type Seen, TaskProcesses } from '../../src/launch/editors/processes.ts'
import { psTable } from '../../src/launch/editors/ps-table.ts'
import { until } from '../isolation/until.ts'

const CODE = EDITORS.find(({ name }) => name === 'code') as Editor
const FAKE = join(import.meta.dirname, 'editors-fake.mjs')

let folder: string
let mark: string
const open: TaskProcesses[] = []
const started: number[] = []

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'editors-')))
  mark = `BROKER_LEASE=${folder}`
})
afterEach(() => {
  for (const processes of open.splice(0)) processes.close()
  for (const pid of started.splice(0)) end(pid)
  rmSync(folder, { recursive: true, force: true })
})

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // As it should be.
  }
}

function start(program: string, args: readonly string[]) {
  const env = { PATH: process.env['PATH'] ?? '', BROKER_LEASE: folder }
  const child = spawn(program, args, { env, stdio: 'ignore' })
  const processes = new TaskProcesses(procTable(mark), child.pid ?? 0)
  open.push(processes)
  processes.watch()
  const exited = once(child, 'exit').then(([exitCode, signal]) => ({ exitCode, signal }))
  return { processes, exited }
}

/** A pipe with a name: who reads it waits for as long as the test wants. */
function gate(name: string): { path: string; lift(): Promise<void> } {
  const path = join(folder, name)
  execFileSync('mkfifo', [path])
  return { path, lift: () => writeFile(path, '\n') }
}

async function pidIn(name: string): Promise<number> {
  const path = join(folder, name)
  await until(
    `${name} is written`,
    () => existsSync(path) && readFileSync(path, 'utf8').endsWith('\n'),
  )
  const pid = Number(readFileSync(path, 'utf8'))
  started.push(pid)
  return pid
}

async function isFulfilled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), Promise.resolve(false)])
}

describe.runIf(process.platform === 'linux')('the processes of a task', () => {
  it('are not over when its first one has left one that forked twice and has a session of its own', async () => {
    const { path, lift } = gate('gate')
    const orphan = `echo $$ > '${folder}/pid'; read x < '${path}'`
    const { processes, exited } = start('sh', ['-c', `setsid sh -c "$0" & exit 0`, orphan])
    const pid = await pidIn('pid')
    await exited
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[5]).toBe(String(pid))
    expect(processes.others()).toContain(pid)
    const gone = processes.allGone()
    await new Promise((resolve) => setImmediate(resolve))
    expect(await isFulfilled(gone)).toBe(false)
    await lift()
    await gone
    expect(processes.others()).toEqual([])
  })

  it('are still known when one of them has wiped its environment and lost its parents', async () => {
    const [inner, outer] = [gate('inner'), gate('outer')]
    const orphan = `echo $$ > '${folder}/pid'; read x < '${inner.path}'`
    const code = `env -i /bin/sh -c "$0" & read x < '${outer.path}'`
    const { processes, exited } = start('sh', ['-c', code, orphan])
    const pid = await pidIn('pid')
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('BROKER')
    expect(processes.others()).toContain(pid)
    await outer.lift()
    await exited
    const gone = processes.allGone()
    expect(processes.others()).toContain(pid)
    await inner.lift()
    await gone
  })

  it('are not those of another task', async () => {
    const { path, lift } = gate('gate')
    const env = { PATH: process.env['PATH'] ?? '', BROKER_LEASE: `${folder}0` }
    const other = spawn('sh', ['-c', `read x < '${path}'`], { env, stdio: 'ignore' })
    const ended = once(other, 'exit')
    const { processes, exited } = start('true', [])
    await exited
    await processes.allGone()
    expect(processes.others()).toEqual([])
    await lift()
    await ended
  })

  it('are over at once where nothing is left', async () => {
    const { processes, exited } = start('true', [])
    expect((await exited).exitCode).toBe(0)
    await processes.allGone()
    await processes.allGone()
  })
})

describe.runIf(process.platform === 'linux')('an editor of one process for all windows', () => {
  const args = (more: readonly string[]) => [FAKE, ...more]
  const close = (data: string) => writeFileSync(join(data, 'close'), '')
  const view = {
    text: (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    runs: (pid: number) => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    },
  }

  async function windowIn(data: string): Promise<Record<string, string>> {
    await until(
      'there is a window',
      () => existsSync(join(data, 'window.json')) && view.text(join(data, 'code.lock')) !== '',
    )
    started.push(Number(view.text(join(data, 'code.lock'))))
    return JSON.parse(readFileSync(join(data, 'window.json'), 'utf8'))
  }

  it('hands over to a window that is open, which is noticed', async () => {
    const data = join(folder, 'usual')
    const person = spawn(process.execPath, args(['--user-data-dir', data]), {
      env: { ...process.env, BROKER_LEASE: '' },
      stdio: 'ignore',
    })
    await once(person, 'exit')
    expect((await windowIn(data))['BROKER_LEASE']).toBe('')
    const began = performance.now()
    const { processes, exited } = start(process.execPath, args(['--user-data-dir', data]))
    const ended = await exited
    const ranMs = performance.now() - began
    const others = processes.others()
    expect(others).toEqual([])
    // The clock is the test's own: a slow machine must not turn this into something else.
    expect(handedOver(CODE, { end: ended, ranMs: Math.min(ranMs, 2999), others })).toContain(
      'handed over',
    )
    expect(() => refuseOpenInstance(CODE, data, view)).toThrow('is open for this project already')
    close(data)
  })

  it('has the variables of the task in an instance of its own, and lasts as long as its window', async () => {
    const data = join(folder, 'ide')
    const own = editorArguments(CODE, ['.'], { userData: data, home: folder }) ?? []
    const { processes, exited } = start(process.execPath, args(own))
    const window = await windowIn(data)
    expect(window['BROKER_LEASE']).toBe(folder)
    expect(processes.others().length).toBeGreaterThan(0)
    expect(() => refuseOpenInstance(CODE, data, view)).toThrow('is open for this project already')
    close(data)
    expect((await exited).exitCode).toBe(0)
    await processes.allGone()
    expect(() => refuseOpenInstance(CODE, data, view)).not.toThrow()
  })

  it('is waited for without --wait as well', async () => {
    const data = join(folder, 'ide')
    const { processes, exited } = start(process.execPath, args(['--user-data-dir', data]))
    const end = await exited
    const others = processes.others()
    expect(others.length).toBeGreaterThan(0)
    expect(handedOver(CODE, { end, ranMs: 1, others })).toBeUndefined()
    await windowIn(data)
    const gone = processes.allGone()
    close(data)
    await gone
  })
})

describe('a table of processes', () => {
  const table = (list: () => readonly Seen[], marked: number[] = []): ProcessTable => ({
    list,
    marked: (pid) => marked.includes(pid),
  })

  it('does not take a later process of the same number for the first one', () => {
    let seen: Seen[] = [{ pid: 5, parent: 1, born: 'a' }]
    const processes = new TaskProcesses(
      table(() => seen),
      5,
    )
    processes.watch()
    seen = [
      { pid: 5, parent: 1, born: 'b' },
      { pid: 6, parent: 5, born: 'c' },
    ]
    expect(processes.others()).toEqual([])
    processes.close()
  })

  it('finds descendants that are listed before their parents', () => {
    const seen = [
      { pid: 2, parent: 3, born: 'a' },
      { pid: 3, parent: 9, born: 'a' },
      { pid: 4, parent: 1, born: 'a' },
      { pid: 9, parent: 1, born: 'a' },
    ]
    const processes = new TaskProcesses(
      table(() => seen),
      9,
    )
    processes.watch()
    expect([...processes.others()].sort()).toEqual([2, 3])
    processes.close()
  })

  it('of macOS is what ps prints', () => {
    const asked: (readonly string[])[] = []
    const run = (args: readonly string[]) => {
      asked.push(args)
      if (args.includes('pid=,ppid=,lstart=')) {
        return '  401     1 Sat Nov 21 15:00:00 2026\n  402   401 Sat Nov 21 15:00:01 2026    \nnoise\n'
      }
      return args.includes('402') ? '/bin/zsh -l HOME=/Users/u BROKER_LEASE=l1 A=b\n' : '/bin/zsh\n'
    }
    const mac = psTable('BROKER_LEASE=l1', run)
    expect(mac.list()).toEqual([
      { pid: 401, parent: 1, born: 'Sat Nov 21 15:00:00 2026' },
      { pid: 402, parent: 401, born: 'Sat Nov 21 15:00:01 2026' },
    ])
    expect(mac.marked(402)).toBe(true)
    expect(mac.marked(401)).toBe(false)
    expect(psTable('BROKER_LEASE=l', run).marked(402)).toBe(false)
  })
})
