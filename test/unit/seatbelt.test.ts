import { describe, expect, it } from 'vitest'
import { seatbeltCommand } from '../../src/launch/seatbelt/command.ts'
import { highestOn } from '../../src/launch/seatbelt/platform.ts'
import { type SeatbeltFacts, seatbeltProfile } from '../../src/launch/seatbelt/profile.ts'
import { quoted } from '../../src/launch/seatbelt/sbpl.ts'
import { fakeFiles } from '../isolation/fake-files.ts'
import { judge } from './seatbelt-judge.ts'

const HOME = '/Users/u'
const ROOT = `${HOME}/p`
const STATE = `${HOME}/Library/Application Support/broker`

const MACHINE: Record<string, string> = {
  '/private/tmp/': '',
  '/tmp': '-> private/tmp',
  '/private/var/folders/ab/T/other': 'key',
  '/var': '-> private/var',
  [`${HOME}/.aws/credentials`]: 'key',
  [`${HOME}/.zshrc`]: 'export TOKEN=key',
  [`${HOME}/.vimrc`]: 'set nu',
  [`${HOME}/.nvm/nvm.sh`]: '',
  [`${HOME}/.inputrc`]: '-> .aws/credentials',
  [`${HOME}/.my-agent/login`]: 'own',
  [`${STATE}/state/vault.age`]: 'sealed',
  [`${STATE}/run/lease/bundle.pem`]: 'roots',
  [`${STATE}/run/lease/tmp/`]: '',
  [`${STATE}/run/lease/proxy.sock`]: 'socket:',
  [`${ROOT}/.git/config`]: '[core]',
  [`${ROOT}/.git/hooks/`]: '',
  [`${ROOT}/.env`]: 'KEY=1',
  [`${ROOT}/app/.env.local`]: 'KEY=2',
  [`${ROOT}/src/main.js`]: '',
  [`${ROOT}/run.sock`]: 'socket:',
}

const FACTS: SeatbeltFacts = {
  level: 'confine',
  home: HOME,
  workTree: ROOT,
  temporary: '/var/folders/ab/T',
  ownTemporary: `${STATE}/run/lease/tmp`,
  cacheFolder: `${STATE}/caches/p`,
  brokerFolders: [STATE],
  ofLease: [`${STATE}/run/lease/bundle.pem`],
  sockets: [`${STATE}/run/lease/proxy.sock`],
  ports: [8080],
  allowWrite: [],
  agentState: ['.my-agent'],
  alsoRead: [],
}

const profile = (facts: Partial<SeatbeltFacts> = {}, more: Record<string, string> = {}) =>
  seatbeltProfile({ ...FACTS, ...facts }, fakeFiles({ ...MACHINE, ...more }))

/** What the profile says of an operation on a path. */
const may = (operation: string, path: string, facts = {}, more = {}) =>
  judge(profile(facts, more), operation, { path })

describe('a work tree is refused', () => {
  it.each([
    [HOME, 'it holds the whole home'],
    ['/Users', 'it holds the whole home'],
    ['/System/Library', 'it belongs to the system'],
    ['/Volumes', 'it belongs to the system'],
    ['/private/etc', 'it belongs to the system'],
    [`${HOME}/.aws`, 'it is a place of keys'],
    [`${STATE}/state`, "it is the broker's own"],
  ])('%s: %s', (workTree, why) => {
    expect(() => profile({ workTree })).toThrow(
      expect.objectContaining({
        code: 'isolation_unavailable',
        message: `"${workTree}" cannot be a work tree: ${why}`,
      }),
    )
  })

  it('with a name whose escape nobody is sure of', () => {
    for (const name of ['a\nb', 'a\tb', 'a\u0000b', 'a\u007fb']) {
      expect(() => profile({}, { [`${ROOT}/${name}/.env`]: 'KEY=3' })).toThrow(
        expect.objectContaining({
          code: 'isolation_unavailable',
          message: expect.stringContaining('has a control character in its name'),
        }),
      )
    }
  })
})

describe('a name made to break out of its rule', () => {
  const NAMES = [
    'a") (allow file-read* (subpath "/")) ("',
    'a\\") (allow default) (literal "',
    'back\\slash\\\\',
    '(parens) and ;comment',
    '#"regex"',
    'naïve-日本',
  ]

  it.each(NAMES)('%s: stays a name', (name) => {
    const text = profile({}, { [`${ROOT}/${name}/.env`]: 'KEY=3' })
    expect(judge(text, 'file-read-data', { path: `${ROOT}/${name}/.env` })).toBe('deny')
    expect(judge(text, 'file-read-data', { path: `${HOME}/.aws/credentials` })).toBe('deny')
    expect(judge(text, 'file-write-unlink', { path: `${ROOT}/${name}` })).toBe('deny')
  })

  it('is read back as it was written', () => {
    for (const name of NAMES) {
      const inner = quoted(name).slice(1, -1)
      expect(inner.replaceAll(/\\(.)/g, '$1')).toBe(name)
      expect(inner.replaceAll(/\\./g, '')).not.toContain('"')
    }
  })
})

describe('the home', () => {
  it.each([
    ['a place of keys', `${HOME}/.aws/credentials`],
    ['a file on no list', `${HOME}/notes.txt`],
    ['a start-up file', `${HOME}/.zshrc`],
    ['an allowed name that leads to keys', `${HOME}/.inputrc`],
    ['the keychains', `${HOME}/Library/Keychains/login.keychain-db`],
    ['another home', '/Users/other/.ssh/id_ed25519'],
    ['shared temporary files', '/private/tmp/x'],
    ["the person's temporary files", '/private/var/folders/ab/T/other'],
  ])('does not show %s', (_, path) => {
    expect(may('file-read-data', path)).toBe('deny')
    expect(may('file-write-data', path)).toBe('deny')
  })

  it('shows tool chains and settings, to be read', () => {
    for (const path of [`${HOME}/.nvm/nvm.sh`, `${HOME}/.vimrc`]) {
      expect(may('file-read-data', path)).toBe('allow')
      expect(may('file-write-data', path)).toBe('deny')
    }
  })

  it('lets the agent keep its own state, and says that names are there', () => {
    expect(may('file-write-data', `${HOME}/.my-agent/login`)).toBe('allow')
    expect(may('file-read-metadata', `${HOME}/.aws/credentials`)).toBe('allow')
  })
})

describe('the work tree', () => {
  it.each([`${ROOT}/.env`, `${ROOT}/app/.env.local`])('does not show %s', (path) => {
    expect(may('file-read-data', path)).toBe('deny')
    expect(may('file-write-unlink', path)).toBe('deny')
  })

  it.each([
    '.git/config',
    '.git/hooks/pre-commit',
    '.vscode/tasks.json',
    '.mcp.json',
    'broker.yaml',
  ])('holds %s, there or not', (name) => {
    expect(may('file-write-create', `${ROOT}/${name}`)).toBe('deny')
    expect(may('file-write-data', `${ROOT}/${name}`)).toBe('deny')
    expect(may('file-read-data', `${ROOT}/${name}`)).toBe('allow')
  })

  it('keeps the folders above them in their place', () => {
    for (const path of [ROOT, `${ROOT}/.git`, `${ROOT}/app`]) {
      expect(may('file-write-unlink', path)).toBe('deny')
    }
    expect(may('file-write-unlink', `${ROOT}/src`)).toBe('allow')
  })

  it('is writable beside that, and where it was asked for', () => {
    expect(may('file-write-data', `${ROOT}/src/main.js`)).toBe('allow')
    const open = { allowWrite: [`${ROOT}/.vscode`] }
    expect(may('file-write-create', `${ROOT}/.vscode/tasks.json`, open)).toBe('allow')
    expect(may('file-write-create', `${ROOT}/.mcp.json`, open)).toBe('deny')
  })

  it('gets no second name of a file, and nothing outside is written', () => {
    expect(may('file-link', `${ROOT}/.env`)).toBe('deny')
    expect(may('file-clone', `${ROOT}/src/main.js`)).toBe('deny')
    for (const path of ['/usr/local/bin/x', '/Library/LaunchAgents/x', `${HOME}/.ssh/config`]) {
      expect(may('file-write-create', path)).toBe('deny')
    }
    expect(may('file-write-data', '/dev/null')).toBe('allow')
    expect(may('file-write-data', '/dev/ttys003')).toBe('allow')
    expect(may('file-write-data', '/dev/disk0')).toBe('deny')
  })
})

describe("the broker's own", () => {
  it('is closed, but for what is of this lease', () => {
    expect(may('file-read-data', `${STATE}/state/vault.age`)).toBe('deny')
    expect(may('file-read-data', `${STATE}/run/lease/bundle.pem`)).toBe('allow')
    expect(may('file-write-data', `${STATE}/run/lease/bundle.pem`)).toBe('deny')
    expect(may('file-write-create', `${STATE}/run/lease/tmp/x`)).toBe('allow')
  })

  it('is closed in the work tree as well', () => {
    const facts = { brokerFolders: [STATE, `${ROOT}/.broker`] }
    expect(may('file-read-data', `${ROOT}/.broker/operator.key`, facts)).toBe('deny')
  })
})

describe('other programs', () => {
  it.each([
    ['the keychain', 'mach-lookup', { name: 'com.apple.SecurityServer' }],
    ['the clipboard', 'mach-lookup', { name: 'com.apple.pasteboard.1' }],
    ['starting an application', 'lsopen', {}],
    ['driving one', 'appleevent-send', {}],
    ['a job of launchd', 'job-creation', {}],
    ['the arguments of others', 'sysctl-read', { name: 'kern.procargs2' }],
    ['looking at others', 'process-info-pidinfo', {}],
    ['a signal to others', 'signal', {}],
    ['the memory of others', 'mach-priv-task-port', {}],
  ])('%s: refused', (_, operation, what) => {
    expect(judge(profile(), operation, what)).toBe('deny')
  })

  it('within the walls: allowed', () => {
    for (const operation of ['signal', 'process-info-pidinfo', 'mach-priv-task-port']) {
      expect(judge(profile(), operation, { target: 'same-sandbox' })).toBe('allow')
    }
    expect(judge(profile(), 'mach-lookup', { name: 'com.apple.trustd.agent' })).toBe('allow')
  })
})

describe('the network', () => {
  const out = (level: 'mask' | 'confine', what: Parameters<typeof judge>[2]) =>
    judge(profile({ level }), 'network-outbound', what)

  it.each([
    ['ssh-agent', '/private/tmp/com.apple.launchd.x/Listeners'],
    ['docker', '/private/var/run/docker.sock'],
    ['the broker', `${STATE}/run/broker.sock`],
    ['a socket of the work tree', `${ROOT}/run.sock`],
  ])('has no socket of %s', (_, path) => {
    expect(out('mask', { socket: path })).toBe('deny')
    expect(out('confine', { socket: path })).toBe('deny')
  })

  it('leads out at confine by what is named alone', () => {
    expect(out('confine', { ip: '192.0.2.1:443' })).toBe('deny')
    expect(out('confine', { ip: 'localhost:5432' })).toBe('deny')
    expect(out('confine', { ip: 'localhost:8080' })).toBe('allow')
    expect(out('confine', { socket: `${STATE}/run/lease/proxy.sock` })).toBe('allow')
    expect(out('confine', { socket: '/private/var/run/mDNSResponder' })).toBe('deny')
    expect(judge(profile(), 'mach-lookup', { name: 'com.apple.nsurlsessiond' })).toBe('deny')
    expect(judge(profile(), 'network-bind', { ip: 'localhost:3000' })).toBe('allow')
  })

  it('is open at mask, names included', () => {
    expect(out('mask', { ip: '192.0.2.1:443' })).toBe('allow')
    expect(out('mask', { socket: '/private/var/run/mDNSResponder' })).toBe('allow')
  })
})

it('the command keeps its own words', () => {
  expect(seatbeltCommand('(version 1)', '/bin/sh', ['-c', '--x'])).toEqual({
    path: '/usr/bin/sandbox-exec',
    args: ['-p', '(version 1)', '--', '/bin/sh', '-c', '--x'],
  })
})

it('Windows has scrub, and macOS is not verified', () => {
  expect(highestOn('win32')).toEqual({
    level: 'scrub',
    remark: 'on Windows scrub is the most there is, and no boundary',
  })
  expect(highestOn('freebsd').level).toBe('scrub')
  expect(highestOn('darwin').level).toBe('scrub')
  expect(highestOn('darwin').remark).toContain('never verified')
  expect(highestOn('linux')).toEqual({ level: 'confine', remark: undefined })
})
