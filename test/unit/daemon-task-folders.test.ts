import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { assertSocketPath, TaskFolders } from '../../src/daemon/tasks/folders.ts'

const LEASE = 'lse_01m7z37vmww9e1aye9y92v1jce'
const OTHER = 'lse_01m7z37vmww9e1aye9y92v1jcf'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tasks-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const run = () => join(folder, 'run')

describe('the folder of a lease', () => {
  it('is not one that a stranger has prepared as a link', async () => {
    mkdirSync(join(folder, 'theirs'))
    mkdirSync(run())
    symlinkSync(join(folder, 'theirs'), join(run(), 'tasks'))
    mkdirSync(join(folder, 'theirs', 'precious'))
    const folders = new TaskFolders(run())
    expect(() => folders.hold(LEASE)).toThrow('must be a folder that belongs to you')
    // Nor is anything removed through it.
    await expect(folders.clear(async () => false)).rejects.toThrow('belongs to you')
    expect(existsSync(join(folder, 'theirs', 'precious'))).toBe(true)
  })

  it('gives no socket a path that the kernel would refuse', () => {
    const long = join(folder, 'x'.repeat(100), 'task.sock')
    expect(() => assertSocketPath(long)).toThrow(
      expect.objectContaining({
        code: 'isolation_unavailable',
        message: `no socket can have a path as long as "${long}"`,
        hint: expect.stringContaining('shorter path'),
      }),
    )
  })

  it('lies elsewhere where the path of a socket would be too long', () => {
    const deep = join(folder, 'x'.repeat(80))
    const { path } = new TaskFolders(deep, folder).hold(LEASE)
    expect(path.startsWith(join(folder, 'broker-'))).toBe(true)
    expect(Buffer.byteLength(join(path, 'own', 'task.sock'))).toBeLessThanOrEqual(100)
    expect(new TaskFolders(deep, join(folder, 'y'.repeat(80))).hold(LEASE).path).toBe(
      join(deep, 'tasks', LEASE),
    )
  })

  it('is its user’s alone and goes with the last that holds it', () => {
    const folders = new TaskFolders(run())
    const [first, second] = [folders.hold(LEASE), folders.hold(LEASE)]
    expect(lstatSync(first.path).mode & 0o777).toBe(0o700)
    expect(lstatSync(run()).mode & 0o777).toBe(0o700)
    first.release()
    first.release()
    expect(existsSync(second.path)).toBe(true)
    second.release()
    expect(existsSync(second.path)).toBe(false)
  })

  it('stays when one of its holders leaves it for the next run', () => {
    const folders = new TaskFolders(run())
    const [first, second] = [folders.hold(LEASE), folders.hold(LEASE)]
    first.release(true)
    second.release()
    expect(existsSync(first.path)).toBe(true)
  })

  it('of an earlier run is removed unless its lease goes on, and never under one who holds it', async () => {
    const before = new TaskFolders(run())
    const paths = [LEASE, OTHER].map((lease) => before.hold(lease).path)
    writeFileSync(join(paths[1] ?? '', 'ca.pem'), '')
    const folders = new TaskFolders(run())
    const own = folders.hold('lse_own')
    expect(await folders.clear(async (lease) => lease === LEASE)).toEqual([LEASE])
    expect(paths.map((path) => existsSync(path))).toEqual([true, false])
    expect(existsSync(own.path)).toBe(true)
  })
})
