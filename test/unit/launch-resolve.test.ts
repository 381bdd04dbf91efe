import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolveCommand } from '../../src/launch/resolve-command.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'resolve-'))
  for (const name of ['a', 'b', 'elsewhere/deep'])
    mkdirSync(join(folder, name), { recursive: true })
  for (const [path, mode] of [
    ['a/plain', 0o644],
    ['b/plain', 0o755],
    ['a/tool', 0o755],
    ['b/tool', 0o755],
    ['a/text', 0o644],
    ['here', 0o755],
    ['elsewhere/target', 0o755],
  ] as const) {
    writeFileSync(join(folder, path), '')
    chmodSync(join(folder, path), mode)
  }
  mkdirSync(join(folder, 'a', 'sub'))
  symlinkSync(join(folder, 'elsewhere', 'deep'), join(folder, 'link'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const find = (command: string, PATH?: string) =>
  resolveCommand(command, PATH === undefined ? {} : { PATH }, folder)

describe('resolving a command', () => {
  it('finds nothing where there is nothing', () => {
    for (const command of ['', 'missing', './missing', 'a/tool/x']) {
      expect(find(command, `${folder}/a`), command).toEqual({ found: 'nothing' })
    }
    expect(find('tool', '')).toEqual({ found: 'nothing' })
  })

  it('remembers a file that may not be executed, if nothing better comes', () => {
    expect(find('text', `${folder}/a:${folder}/b`)).toEqual({
      found: 'not-executable',
      path: `${folder}/a/text`,
    })
    expect(find('plain', `${folder}/a:${folder}/b`)).toEqual({
      found: 'executable',
      path: `${folder}/b/plain`,
    })
  })

  it('takes no folder for a program', () => {
    expect(find('sub', `${folder}/a`)).toEqual({ found: 'nothing' })
    expect(find('./a')).toMatchObject({ found: 'not-executable' })
  })

  it('takes the first of PATH, and a path as it is', () => {
    expect(find('tool', `${folder}/b:${folder}/a`)).toMatchObject({ path: `${folder}/b/tool` })
    expect(find('a/tool', `${folder}/b`)).toMatchObject({ path: `${folder}/a/tool` })
    expect(find(`${folder}/a/tool`)).toMatchObject({ path: `${folder}/a/tool` })
  })

  it('takes an empty entry of PATH for the current folder', () => {
    expect(find('here', '/nonexistent::/nowhere')).toMatchObject({ found: 'executable' })
    expect(find('here', '/nonexistent')).toEqual({ found: 'nothing' })
  })

  it('searches the usual folders when PATH is unset', () => {
    expect(find('sh')).toMatchObject({ found: 'executable' })
  })

  it('follows links as the kernel does', () => {
    expect(find('link/../target')).toMatchObject({ found: 'executable' })
  })

  it('tries the extensions of Windows there', () => {
    writeFileSync(join(folder, 'a', 'win.EXE'), '', { mode: 0o755 })
    const env = { PATH: 'a;b', PATHEXT: '.COM;.EXE' }
    expect(resolveCommand('win', env, folder, 'win32')).toMatchObject({
      path: `${folder}/a/win.EXE`,
    })
    expect(resolveCommand('tool', env, folder, 'win32')).toEqual({ found: 'nothing' })
  })
})
