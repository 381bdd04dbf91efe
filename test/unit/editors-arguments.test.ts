import { describe, expect, it } from 'vitest'
import { editorArguments, userDataOf } from '../../src/launch/editors/arguments.ts'
import { displayOf } from '../../src/launch/editors/display.ts'
import { EDITORS, type Editor, editorOf } from '../../src/launch/editors/editor.ts'
import { handedOver } from '../../src/launch/editors/hand-over.ts'
import { macStart } from '../../src/launch/editors/mac-application.ts'
import { refuseOpenInstance } from '../../src/launch/editors/open-instance.ts'

const CODE = EDITORS.find(({ name }) => name === 'code') as Editor
const place = { userData: '/state/ide/p', home: '/home/u' }
const called = (real: string, path = real) => editorOf({ path, real })?.name

describe('an editor is recognised', () => {
  it.each([
    '/usr/bin/vim',
    '/usr/bin/codecov',
    '/home/cursor/bin/emacs',
    '/usr/share/code/bin/other',
    '/home/u/.local/share/cursor-agent/versions/1/cursor-agent',
  ])('not at %s', (path) => {
    expect(called(path)).toBeUndefined()
  })

  it.each([
    ['code', '/usr/share/code/bin/code'],
    ['code', '/Applications/Visual Studio Code.app/Contents/Resources/app/bin/code'],
    ['code', '/home/cursor/vscode/bin/code'],
    ['code-insiders', '/usr/share/code-insiders/bin/code-insiders'],
    [
      'code-insiders',
      '/Applications/Visual Studio Code - Insiders.app/Contents/Resources/app/bin/code',
    ],
    ['codium', '/usr/share/codium/bin/codium'],
    ['cursor', '/usr/share/cursor/bin/code'],
    ['cursor', '/Applications/Cursor.app/Contents/Resources/app/bin/code'],
    ['cursor', '/home/u/Applications/Cursor-2.1-x86_64.AppImage'],
    ['windsurf', 'C:\\Programs\\Windsurf\\bin\\windsurf.cmd'],
  ])('%s at %s', (name, real) => {
    expect(called(real)).toBe(name)
    expect(called(real, '/usr/local/bin/x')).toBe(name)
  })

  it('behind a shim, by the name of that', () => {
    expect(called('/usr/bin/snap', '/snap/bin/code')).toBe('code')
  })
})

describe("an editor's arguments", () => {
  const OWN = [
    '--user-data-dir',
    '/state/ide/p',
    '--extensions-dir',
    '/home/u/.vscode/extensions',
    '--new-window',
    '--wait',
  ]

  it.each([
    ['--version'],
    ['--install-extension=x.y'],
    ['tunnel'],
    ['agent', 'go'],
    ['.', '--status'],
  ])('are left alone where no window is opened: %s', (...args) => {
    expect(editorArguments(CODE, args, place)).toBeUndefined()
  })

  it('give it an instance of its own', () => {
    expect(editorArguments(CODE, ['.'], place)).toEqual([...OWN, '.'])
  })

  it("leave the person's own as they are", () => {
    const args = ['--user-data-dir=/mine', '-r', '-w', '--extensions-dir', '/e', '.']
    expect(editorArguments(CODE, args, place)).toEqual(args)
    expect(userDataOf(args)).toBe('/mine')
    expect(userDataOf(OWN)).toBe('/state/ide/p')
    expect(userDataOf(['.'])).toBeUndefined()
  })

  it('take what follows -- for files', () => {
    expect(editorArguments(CODE, ['--', '--wait'], place)).toEqual([...OWN, '--', '--wait'])
  })
})

describe('a hand-over', () => {
  const gone = { end: { exitCode: 0, signal: null }, ranMs: 400, others: [] }

  it.each([
    ['a failure', { end: { exitCode: 1, signal: null } }],
    ['an end by a signal', { end: { exitCode: null, signal: 'SIGTERM' as const } }],
    ['a window that was open for a while', { ranMs: 3000 }],
    ['one that left processes', { others: [123] }],
  ])('is not %s', (_, more) => {
    expect(handedOver(CODE, { ...gone, ...more })).toBeUndefined()
  })

  it('is an editor that is gone at once, with nothing left', () => {
    expect(handedOver(CODE, gone)).toContain('VS Code handed over to a window that was open before')
  })
})

describe('an instance that is open already', () => {
  const view = (text: string | undefined, runs: boolean) => ({
    text: (path: string) => (path === '/d/code.lock' ? text : undefined),
    runs: () => runs,
  })

  it('is refused', () => {
    expect(() => refuseOpenInstance(CODE, '/d', view('4711', true))).toThrow(
      expect.objectContaining({
        code: 'conflict',
        message: '"code" is open for this project already',
        details: { editor: 'code', pid: 4711 },
      }),
    )
  })

  it.each([
    ['a lock that its process left behind', '4711', false],
    ['none', undefined, true],
    ['a lock of another make', 'x 1', true],
  ])('is not %s', (_, text, runs) => {
    expect(() => refuseOpenInstance(CODE, '/d', view(text, runs))).not.toThrow()
  })
})

describe('on macOS', () => {
  const launcher = '/Applications/Visual Studio Code.app/Contents/Resources/app/bin/code'

  it("starts the application's program instead of its launcher", () => {
    const electron = '/Applications/Visual Studio Code.app/Contents/MacOS/Electron'
    expect(macStart(CODE, launcher, (path) => path === electron)).toEqual({
      path: electron,
      variables: { VSCODE_CLI: '1' },
    })
  })

  it('starts nothing that is not there', () => {
    expect(macStart(CODE, launcher, () => false)).toBeUndefined()
    expect(macStart(CODE, '/usr/local/bin/code', () => true)).toBeUndefined()
  })
})

describe('the display of a masked editor', () => {
  it('is never X11', () => {
    expect(displayOf({ DISPLAY: ':0' }).kind).toBe('x11')
    expect(displayOf({}).kind).toBe('none')
    expect(displayOf({ WAYLAND_DISPLAY: 'wayland-0' }).kind).toBe('none')
  })

  it('is a socket of Wayland', () => {
    expect(
      displayOf({ WAYLAND_DISPLAY: 'wayland-0', XDG_RUNTIME_DIR: '/run/user/1', DISPLAY: ':0' }),
    ).toMatchObject({ kind: 'wayland', socket: '/run/user/1/wayland-0' })
    expect(displayOf({ WAYLAND_DISPLAY: '/run/w' })).toMatchObject({ socket: '/run/w' })
  })
})
