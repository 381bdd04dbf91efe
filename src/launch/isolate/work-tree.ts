import { BrokerError } from '../../errors.ts'
import type { FileView } from './file-view.ts'
import { filteredRepository } from './filtered-git.ts'
import { linkedRepository } from './linked-worktree.ts'
import { type Mount, readOnly, writable } from './mounts.ts'
import { isWithin, lineage } from './paths.ts'
import { runLaterPaths } from './run-later.ts'
import type { Found } from './secret-files.ts'

export interface WorkTreeParts {
  readonly mounts: readonly Mount[]
  /** What runs later with the person's rights, whether there or not, for `runLaterState`. */
  readonly runLater: readonly string[]
  /** Of that, what is there and cannot be written. */
  readonly held: readonly string[]
  /** Files that read as empty, or without the keys in them, for `watchMasks`. */
  readonly masked: readonly string[]
  /** Files to write before the start, outside: path → text. */
  readonly copies: ReadonlyMap<string, string>
}

export interface WorkTreePlaces {
  /** Without links. */
  readonly root: string
  readonly found: Found
  /** Where copies are put, and an empty file: outside. */
  readonly copies: string
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
  refuseLinks(files, root, there)
  const held = [
    ...there,
    ...there.flatMap((folder) => ledTo(files, root, folder)).filter(not(allowed)),
  ]
  const filtered = gitCopies(files, there, places.copies)
  // A whole folder to write to is no word about the secrets in it.
  const masked = found.secrets.filter((path) => !places.allowWrite.includes(path))
  const sockets = found.sockets.filter((path) => !places.sockets.includes(path))
  return {
    mounts: [
      writable(root),
      ...(linked === undefined ? [] : [writable(linked)]),
      // A folder that holds a protected file must not be moved aside and made anew; one that is a
      // mount of its own cannot be.
      ...pins(root, held).map((path) => writable(path)),
      ...held.map((path) => readOnly(path, filtered.get(path)?.copy)),
      ...masked.map((path) => readOnly(path, places.empty)),
      ...sockets.map((path) => readOnly(path, places.empty)),
    ],
    runLater: watched,
    held,
    masked: [...masked, ...filtered.keys()],
    copies: new Map([...filtered.values()].map(({ copy, text }) => [copy, text])),
  }
}

interface Filtered {
  readonly copy: string
  readonly text: string
}

/** A clone by `https://key@host` leaves the key in the repository's settings, and CI leaves headers there. */
function gitCopies(
  files: FileView,
  paths: readonly string[],
  folder: string,
): ReadonlyMap<string, Filtered> {
  const copies = new Map<string, Filtered>()
  for (const path of paths.filter((name) => /\/config(?:\.worktree)?$/.test(name))) {
    const before = files.text(path)
    if (before === undefined) continue
    const text = filteredRepository(before)
    if (text !== before) copies.set(path, { copy: `${folder}/git-${copies.size}`, text })
  }
  return copies
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

/**
 * What a person names by `--allow-write`: the name itself, and where a link of that name leads. Whoever
 * names only the target has not allowed the link.
 */
export function writablePaths(files: FileView, paths: readonly string[]): readonly string[] {
  const all = paths.flatMap((path) => {
    const at = path.lastIndexOf('/')
    const parent = files.real(path.slice(0, at) || '/') ?? path.slice(0, at)
    const named = `${parent === '/' ? '' : parent}${path.slice(at)}`
    return [named, files.real(path) ?? named]
  })
  return [...new Set(all)]
}

/**
 * What `workTreeParts` would refuse of the top of a work tree and its own repository: known without a
 * walk, and so before anything is asked for.
 */
export function refuseLinksAtTheTop(
  files: FileView,
  root: string,
  allowWrite: readonly string[],
): void {
  const own = files.entry(`${root}/.git`)?.kind === 'folder' ? [`${root}/.git`] : []
  const paths = runLaterPaths(files, root, own)
    .filter((path) => files.entry(path) !== undefined)
    .filter((path) => !allowWrite.some((open) => isWithin(path, open)))
  refuseLinks(files, root, paths)
}

function refuseLinks(files: FileView, root: string, paths: readonly string[]): void {
  const link = paths
    .flatMap((path) => lineage(path).slice(lineage(root).length))
    .find((part) => files.entry(part)?.kind === 'link')
  if (link === undefined) return
  throw new BrokerError('isolation_unavailable', `"${link}" is a link and cannot be protected`, {
    hint: `put the file itself there, or let the task change it: --allow-write ${link}`,
    details: { path: link },
  })
}
