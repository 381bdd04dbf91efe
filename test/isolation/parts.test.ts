import { describe, expect, it } from 'vitest'
import { diagnose } from '../../src/launch/isolate/diagnosis.ts'
import { filteredGit } from '../../src/launch/isolate/filtered-git.ts'
import { filteredSettings, filteredShell } from '../../src/launch/isolate/filtered-text.ts'
import { isAtLeast } from '../../src/launch/isolate/level.ts'
import { runLaterChanges, runLaterState } from '../../src/launch/isolate/run-later.ts'
import { systemCallFilter } from '../../src/launch/isolate/syscalls.ts'
import { terminalInput } from '../../src/launch/isolate/terminal-input.ts'
import { fakeFiles } from './fake-files.ts'

const KEY = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz'

describe('a start-up file in its filtered copy', () => {
  it.each([
    ['an export', `export API_TOKEN=abcdef`],
    ['an export of a value that looks like a key', `export PLAIN=${KEY}`],
    ['one of several', `export A=b MY_SECRET=abcdef C=d`],
    ['one behind a condition', `[ -f x ] && export GITHUB_TOKEN=abcdef`],
    ["fish's", `set -gx STRIPE_API_KEY abcdef`],
    ["csh's", `setenv STRIPE_API_KEY abcdef`],
    ['a loader', `export BASH_ENV=~/.evil`],
    ['a key anywhere', `alias c='curl -H "x-api-key: ${KEY}"'`],
    ['several lines', `export DEPLOY_KEY="first\nabcdef\nlast"`],
    [
      'a key of several lines',
      `KEY_FILE_TEXT='-----BEGIN PRIVATE KEY-----\nabcdef\n-----END PRIVATE KEY-----'`,
    ],
    ['a continued line', `export API_TOKEN=\\\nabcdef`],
    ['a here-document', `API_TOKEN=$(cat <<END\nabcdef\nEND\n)`],
  ])('has not: %s', (_, text) => {
    const filtered = filteredShell(`A=1\n${text}\n`)
    expect(filtered).toContain('A=1\n')
    expect(filtered).not.toContain('abcdef')
    expect(filtered).not.toContain('BASH_ENV')
  })

  it('keeps everything else, and stays a program', () => {
    const before =
      'export PATH=~/bin:$PATH\nif true; then\nexport X_TOKEN=abcdef\nfi\nalias ll="ls -l"\n'
    expect(filteredShell(before)).toBe(
      before.replace('export X_TOKEN=abcdef', ': # taken out for this task'),
    )
  })
})

describe("git's settings in their filtered copy", () => {
  it.each([
    ['a helper', '[credential]\n\thelper = store\n'],
    ["a host's helper", '[credential "https://x"]\n\thelper = store\n'],
    ['a header', '[http]\n\textraHeader = Authorization: store\n'],
    ['an address with a key', '[url "https://store@h/"]\n\tinsteadOf = x:\n'],
    ['an address that turns to ssh', '[url "git@h:"]\n\tinsteadOf = https://store/\n'],
    ['a key on the line of the section', '[http] cookieFile = store\n'],
    ['a continued value', '[x]\n\ttoken = "\\\nstore"\n'],
  ])('have not: %s', (_, text) => {
    const filtered = filteredGit(`[user]\n\tname = U\n${text}[alias]\n\tst = status\n`)
    expect(filtered).not.toContain('store')
    expect(filtered).toContain('name = U')
    expect(filtered).toContain('st = status')
  })
})

it('settings of a tool keep the registry and lose its key', () => {
  const text =
    'registry=https://r/\n//r/:_authToken=abc\nindex-url = https://u:p@pypi/\nsave-exact=true\n'
  expect(filteredSettings(text)).toBe('registry=https://r/\nsave-exact=true\n')
})

describe('what is missing, and how to get it', () => {
  const nothing = () => undefined
  it.each([
    [
      { missing: true, said: '' },
      nothing,
      'bubblewrap (bwrap) is not installed',
      'install bubblewrap',
    ],
    [
      { missing: false, said: 'bwrap: setting up uid map: Permission denied' },
      (name: string) => (name === 'kernel/apparmor_restrict_unprivileged_userns' ? '1' : undefined),
      'AppArmor keeps programs from making user namespaces',
      'bwrap-userns-restrict',
    ],
    [
      { missing: false, said: 'bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted' },
      () => '1',
      'AppArmor keeps programs from making user namespaces',
      'apparmor_parser',
    ],
    [
      { missing: false, said: 'bwrap: No permissions to create new namespace, likely because …' },
      nothing,
      'user namespaces are not allowed here',
      'max_user_namespaces',
    ],
    [
      { missing: false, said: "bwrap: Can't mount proc on /newroot/proc: Operation not permitted" },
      nothing,
      'a task of its own process table is not allowed here',
      'systempaths=unconfined',
    ],
    [
      { missing: false, said: 'bwrap: Unknown option --x' },
      nothing,
      'this bubblewrap is too old, or was built without seccomp',
      'install',
    ],
    [
      { missing: false, said: 'whatever' },
      nothing,
      'bubblewrap could not build the walls of the task',
      'what it says',
    ],
  ])('%o', (symptoms, setting, reason, hint) => {
    const found = diagnose(symptoms, setting)
    expect(found.reason).toBe(reason)
    expect(found.hint).toContain(hint)
  })
})

describe('the filter of system calls', () => {
  it('is there only for machines whose numbers are known', () => {
    expect(systemCallFilter('riscv64')).toBeUndefined()
    expect(systemCallFilter('x64')).toBeDefined()
    expect(systemCallFilter('arm64')).toBeDefined()
  })

  it('jumps only forwards and within itself, and ends with an answer', () => {
    for (const machine of ['x64', 'arm64']) {
      const bytes = Buffer.from(systemCallFilter(machine) ?? [])
      const count = bytes.length / 8
      for (let at = 0; at < count; at++) {
        const jumps = [bytes.readUInt8(at * 8 + 2), bytes.readUInt8(at * 8 + 3)]
        for (const jump of jumps)
          expect(at + 1 + jump).toBeLessThan(count + (bytes.readUInt16LE(at * 8) === 6 ? 1 : 0))
      }
      expect(bytes.readUInt16LE((count - 1) * 8)).toBe(0x06)
    }
  })
})

it('knows where programs may type into their terminal', () => {
  expect(terminalInput('5.15.0-generic', () => '0')).toBe(true)
  expect(terminalInput('6.1.0', () => '0')).toBe(true)
  expect(terminalInput('6.2.0', () => '0')).toBe(false)
  expect(terminalInput('6.18.44', () => '1')).toBe(true)
  expect(terminalInput('7.0.1', () => undefined)).toBe(true)
})

it('tells which run-later files are new, changed or gone', () => {
  const paths = ['/p/.vscode', '/p/.mcp.json', '/p/.cursor']
  const before = runLaterState(
    fakeFiles({ '/p/.vscode/a': '1', '/p/.vscode/b': '1', '/p/.mcp.json': 'x' }),
    paths,
  )
  const after = runLaterState(
    fakeFiles({ '/p/.vscode/a': '2', '/p/.mcp.json': 'x', '/p/.cursor/m': '' }),
    paths,
  )
  expect(runLaterChanges(before, after)).toEqual([
    '/p/.cursor',
    '/p/.cursor/m',
    '/p/.vscode/a',
    '/p/.vscode/b',
  ])
  expect(runLaterChanges(before, before)).toEqual([])
})

it('ranks the levels', () => {
  expect(isAtLeast('scrub', 'mask')).toBe(false)
  expect(isAtLeast('mask', 'confine')).toBe(false)
  expect(isAtLeast('confine', 'mask')).toBe(true)
})
