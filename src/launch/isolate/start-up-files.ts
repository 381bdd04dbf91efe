import type { FileView } from './file-view.ts'
import { filteredShell } from './filtered-text.ts'
import { type Mount, readOnly } from './mounts.ts'
import system from './system.json' with { type: 'json' }

export interface StartUpCopies {
  readonly mounts: readonly Mount[]
  /** Files to write before the start, outside: path → text. */
  readonly copies: ReadonlyMap<string, string>
}

/**
 * The machine's own start-up files, which give every shell their variables: a copy over each that brings a
 * credential, put into `folder` outside. The others stay as they are.
 */
export function startUpCopies(files: FileView, folder: string): StartUpCopies {
  const inFolders = system.startUpFolders.flatMap((path) =>
    files.list(path).map(({ name }) => `${path}/${name}`),
  )
  const copies = new Map<string, string>()
  const mounts: Mount[] = []
  for (const named of [...system.startUp, ...inFolders]) {
    const path = files.real(named)
    const text = path === undefined ? undefined : files.text(path)
    if (path === undefined || text === undefined) continue
    const filtered = filteredShell(text)
    if (filtered === text) continue
    const copy = `${folder}/system-${path.replaceAll('/', '+')}`
    copies.set(copy, filtered)
    mounts.push(readOnly(path, copy))
  }
  return { mounts, copies }
}
