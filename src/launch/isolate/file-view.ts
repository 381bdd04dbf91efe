import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs'

export type Kind = 'file' | 'folder' | 'link' | 'socket' | 'other'

export interface Entry {
  readonly kind: Kind
  /** Permission bits alone. */
  readonly mode: number
  /** Names that this file has: more than one is a hard link. */
  readonly names: number
  /** The same for each of these names, and for no other file. */
  readonly file: string
}

/**
 * What the planner may know of the machine's files. Nothing throws: what cannot be looked at is not
 * there for the person, and so is nothing that the task needs.
 */
export interface FileView {
  /** Of the path itself: a link is a link. */
  entry(path: string): Entry | undefined
  /** Where a link leads, as it is written. */
  target(path: string): string | undefined
  /** Without any link in it; `undefined` if it leads nowhere. */
  real(path: string): string | undefined
  list(path: string): readonly { readonly name: string; readonly kind: Kind }[]
  /** Type and permissions as stat(2) has them in `st_mode`: a third of the cost of `entry`. */
  bits(path: string): number | undefined
  /** The first 256 KiB of a plain file. */
  text(path: string): string | undefined
}

const LARGEST_TEXT_BYTES = 256 * 1024

/** One for all: to clear a new one for each file costs more than to read it. */
let scratch: Buffer | undefined

/** The files of this machine, as the caller may see them. */
export const hostFiles: FileView = {
  entry: (path) =>
    attempt(() => {
      const found = lstatSync(path, { throwIfNoEntry: false })
      return (
        found && {
          kind: kindOf(found),
          mode: found.mode & 0o7777,
          names: found.nlink,
          file: `${found.dev} ${found.ino}`,
        }
      )
    }),
  target: (path) => attempt(() => readlinkSync(path)),
  // Most of what is asked for is not there, and to throw an error takes longer than to look.
  real: (path) =>
    attempt(() => statSync(path, { throwIfNoEntry: false }) && realpathSync.native(path)),
  list: (path) =>
    attempt(() =>
      readdirSync(path, { withFileTypes: true }).map((entry) => ({
        name: entry.name,
        kind: kindOf(entry),
      })),
    ) ?? [],
  bits: (path) => attempt(() => lstatSync(path, { throwIfNoEntry: false })?.mode),
  text: (path) => attempt(() => start(path)),
}

interface Typed {
  isFile(): boolean
  isDirectory(): boolean
  isSymbolicLink(): boolean
  isSocket(): boolean
}

function kindOf(entry: Typed): Kind {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'folder'
  if (entry.isSymbolicLink()) return 'link'
  return entry.isSocket() ? 'socket' : 'other'
}

function start(path: string): string | undefined {
  // Not before it is known to be a plain file: opening a pipe would wait for its other end.
  if (!lstatSync(path).isFile()) return undefined
  const fd = openSync(path, 'r')
  try {
    scratch ??= Buffer.allocUnsafeSlow(LARGEST_TEXT_BYTES)
    return scratch.toString('utf8', 0, readSync(fd, scratch, 0, scratch.length, 0))
  } finally {
    closeSync(fd)
  }
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
