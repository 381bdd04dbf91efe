import type { Program } from '../agents/program.ts'
import { nameMatcher } from '../isolate/paths.ts'

/** An editor made of VS Code: one process for all its windows, which takes over what a later start is given. */
export interface Editor {
  readonly name: 'code' | 'code-insiders' | 'codium' | 'cursor' | 'windsurf'
  readonly title: string
  /** Names of its launcher and of the program itself, without an ending. */
  readonly programs: readonly string[]
  /** Parts of the path where it is installed, in lower case, for launchers that are links to a file `code`. */
  readonly folders: readonly string[]
  /** Where its extensions are, relative to the home, whatever its user data. */
  readonly extensions: string
  /** Names of the program in the folder MacOS of its application. */
  readonly macPrograms: readonly string[]
}

/** Those with a name of their own first: all of them bring a file that is called `code`. */
export const EDITORS: readonly Editor[] = [
  {
    name: 'cursor',
    title: 'Cursor',
    programs: ['cursor', 'cursor.appimage', 'cursor-*.appimage'],
    folders: ['/cursor/', '/cursor.app/'],
    extensions: '.cursor/extensions',
    macPrograms: ['Cursor', 'Electron'],
  },
  {
    name: 'windsurf',
    title: 'Windsurf',
    programs: ['windsurf'],
    folders: ['/windsurf/', '/windsurf.app/'],
    extensions: '.windsurf/extensions',
    macPrograms: ['Windsurf', 'Electron'],
  },
  {
    name: 'codium',
    title: 'VSCodium',
    programs: ['codium', 'vscodium', 'vscodium-*.appimage'],
    folders: ['/codium/', '/vscodium/', '/vscodium.app/'],
    extensions: '.vscode-oss/extensions',
    macPrograms: ['VSCodium', 'Electron'],
  },
  {
    name: 'code-insiders',
    title: 'VS Code Insiders',
    programs: ['code-insiders'],
    folders: ['/code-insiders/', '/visual studio code - insiders.app/'],
    extensions: '.vscode-insiders/extensions',
    macPrograms: ['Code - Insiders', 'Electron'],
  },
  {
    name: 'code',
    title: 'VS Code',
    programs: ['code'],
    folders: [],
    extensions: '.vscode/extensions',
    macPrograms: ['Code', 'Electron'],
  },
]

/**
 * The editor that a program is: by the folder of the application that its file is in, then by the file's
 * name, then by the name of the link that led to it. A launcher on `PATH` is mostly a link. Pure.
 */
export function editorOf({ path, real }: Program): Editor | undefined {
  return editorAt(real.replaceAll('\\', '/')) ?? named(path.replaceAll('\\', '/'))
}

function editorAt(real: string): Editor | undefined {
  const known = named(real)
  if (known === undefined) return undefined
  // A person may be called like an editor.
  const place = real.replace(/^\/(?:home|Users)\/[^/]+/, '').toLowerCase()
  return EDITORS.find(({ folders }) => folders.some((folder) => place.includes(folder))) ?? known
}

function named(path: string): Editor | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/\.(?:exe|cmd)$/i, '')
  return EDITORS.find(({ programs }) => nameMatcher(programs)(name))
}
