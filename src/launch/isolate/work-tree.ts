import { BrokerError } from '../../errors.ts'
import type { FileView } from './file-view.ts'
import { linkedRepository } from './linked-worktree.ts'
import { type Mount, readOnly, writable } from './mounts.ts'
import { isWithin, lineage } from './paths.ts'
import { runLaterPaths } from './run-later.ts'
import type { Found } from './secret-files.ts'

export interface WorkTreeParts {
  readonly mounts: readonly Mount[]
  /** What runs later with the person's rights, whether there or not, for `runLaterState`. */
  readonly runLater: readonly string[]
  /** Files that read as empty, for `watchMasks`. */
  readonly masked: readonly string[]
}

export interface WorkTreePlaces {
  /** Without links. */
  readonly root: string
  readonly found: Found
  /** An empty file outside. */
  readonly empty: string
  /** `--allow-write`, absolute and without links. */
  readonly allowWrite: readonly string[]
  /** Sockets below the root that are meant for the task. */
  readonly sockets: readonly string[]
}

/**
 * The work tree, writable at its own place, but for what runs later with the person's rights, and
 * with secret files read as empty. Only what exists can be held: a name that is free stays free (a
 * mount there would leave an empty file behind), and `runLaterChanges` tells of it at the end.
 * Throws `isolation_unavailable` for a link among them: a mount follows it, and it could be replaced.
 */
export function workTreeParts(files: FileView, places: WorkTreePlaces): WorkTreeParts {
  const { root, found } = places
  const allowed = (path: string) => places.allowWrite.some((open) => isWithin(path, open))
  const linked = linkedRepository(files, root)
  const repositories = linked === undefined ? found.repositories : [...found.repositories, linked]
  const watched = [...runLaterPaths(files, root, repositories), ...found.gitFiles]
  const there = watched.filter((path) => files.entry(path) !== undefined && !allowed(path))
  for (const path of there) refuseLink(files, root, path)
  const held = [
    ...there,
    ...there.flatMap((folder) => ledTo(files, root, folder)).filter(not(allowed)),
  ]
  const masked = found.secrets.filter((path) => !allowed(path))
  const sockets = found.sockets.filter((path) => !places.sockets.includes(path))
  return {
    mounts: [
      writable(root),
      ...(linked === undefined ? [] : [writable(linked)]),
      // A folder that holds a protected file must not be moved aside and made anew; one that is a
      // mount of its own cannot be.
      ...pins(root, held).map((path) => writable(path)),
      ...held.map((path) => readOnly(path)),
      ...masked.map((path) => readOnly(path, places.empty)),
      ...sockets.map((path) => readOnly(path, places.empty)),
    ],
    runLater: watched,
    masked,
  }
}

function not<T>(test: (value: T) => boolean): (value: T) => boolean {
  return (value) => !test(value)
}

/** A hook is often a link to a script in the work tree; that script runs later all the same. */
function ledTo(files: FileView, root: string, folder: string): string[] {
  return files
    .list(folder)
    .filter(({ kind }) => kind === 'link')
    .map(({ name }) => files.real(`${folder}/${name}`))
    .filter((path) => path !== undefined)
    .filter((path) => path !== root && isWithin(path, root))
}

function pins(root: string, held: readonly string[]): string[] {
  const inside = held.filter((path) => isWithin(path, root))
  const above = inside.flatMap((path) => lineage(path).slice(lineage(root).length, -1))
  return [...new Set(above)].filter((path) => !held.includes(path))
}

function refuseLink(files: FileView, root: string, path: string): void {
  const link = lineage(path)
    .slice(lineage(root).length)
    .find((part) => files.entry(part)?.kind === 'link')
  if (link === undefined) return
  throw new BrokerError('isolation_unavailable', `"${link}" is a link and cannot be protected`, {
    hint: `put the file itself there, or let the task change it: --allow-write ${link}`,
    details: { path: link },
  })
}
