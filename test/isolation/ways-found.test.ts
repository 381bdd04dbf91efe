import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hostFiles } from '../../src/launch/isolate/file-view.ts'
import { filteredRepository } from '../../src/launch/isolate/filtered-git.ts'
import { runLaterPaths } from '../../src/launch/isolate/run-later.ts'
import { secretFiles } from '../../src/launch/isolate/secret-files.ts'
import { fakeFiles } from './fake-files.ts'

describe("a repository's settings in the task", () => {
  it.each([
    ['a key in an address', '[remote "o"]\n\turl = https://u:KEY@h/r.git\n'],
    ['a key alone', '[remote "o"]\n\turl = https://KEY@h/r.git\n'],
    ['one in the name of a section', '[url "https://KEY@h/"]\n\tinsteadOf = h:\n'],
    ['a header', '[http "https://h/"]\n\textraheader = AUTHORIZATION: basic KEY\n'],
    ['a password of ssh', '[remote "o"]\n\turl = ssh://u:KEY@h/r.git\n'],
    ['a way to ssh', '[url "ssh://KEY@h/"]\n\tinsteadOf = https://h/\n'],
    ['a helper', '[credential]\n\thelper = store --file=KEY\n'],
  ])('have not: %s', (_, text) => {
    expect(filteredRepository(`[core]\n\tbare = false\n${text}`)).not.toContain('KEY')
  })

  it('keep their remotes, by whatever way', () => {
    const text =
      '[remote "o"]\n\turl = https://u:KEY@h/r.git\n[remote "s"]\n\turl = ssh://git@h/r\n'
    expect(filteredRepository(text)).toBe(text.replace('u:KEY@', ''))
    const plain = '[remote "o"]\n\turl = git@h:r.git\n\tfetch = +refs/heads/*:refs/remotes/o/*\n'
    expect(filteredRepository(plain)).toBe(plain)
  })
})

describe('a secret file with a second name', () => {
  let root: string
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'found-'))
    writeFileSync(join(root, '.env'), 'KEY=1')
    writeFileSync(join(root, 'other'), 'x')
    linkSync(join(root, '.env'), join(root, 'kept.txt'))
    linkSync(join(root, 'other'), join(root, 'twin'))
  })
  afterAll(() => rmSync(root, { recursive: true }))

  it('is found by both', () => {
    const { secrets } = secretFiles(hostFiles, root)
    expect([...secrets].sort()).toEqual([join(root, '.env'), join(root, 'kept.txt')])
  })
})

it('a repository that a task makes where there was none is looked for at the end', () => {
  const files = fakeFiles({ '/p/main.js': '' })
  expect(runLaterPaths(files, '/p', [])).toContain('/p/.git/config')
})
