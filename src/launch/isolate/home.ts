import type { FileView } from './file-view.ts'
import { filteredGit } from './filtered-git.ts'
import { filteredSettings, filteredShell } from './filtered-text.ts'
import allow from './home-allow.json' with { type: 'json' }
import { INSIDE } from './inside-terms.ts'
import { fresh, type Mount, readOnly, writable } from './mounts.ts'
import { isWithin } from './paths.ts'

export interface HomeParts {
  readonly mounts: readonly Mount[]
  /** Files to write before the start, outside: path → text. */
  readonly copies: ReadonlyMap<string, string>
  /** Folders to make before the start, outside. */
  readonly folders: readonly string[]
}

export interface HomePlaces {
  /** Without links. */
  readonly home: string
  /** Where copies are put: the lease's own folder. */
  readonly copies: string
  /** The project's caches of its own, which outlive the task. */
  readonly caches: string
  /** What the launched agent keeps for itself, relative to the home: its login, its sessions. */
  readonly agentState: readonly string[]
  /** More to show read-only, relative to the home. */
  readonly alsoRead: readonly string[]
}

/**
 * The home as an allow-list: empty, and in it what is named. A key in a file nobody has heard of is
 * out of reach for that reason.
 */
export function homeParts(files: FileView, places: HomePlaces): HomeParts {
  const { home } = places
  const copies = new Map<string, string>()
  const mounts: Mount[] = [fresh(home, 0o700)]
  for (const name of [...allow.toolChains, ...allow.settings, ...places.alsoRead]) {
    mounts.push(...shown(files, home, name, readOnly))
  }
  for (const [names, filter] of FILTERS) {
    for (const name of names) {
      const text = files.text(files.real(`${home}/${name}`) ?? '')
      if (text === undefined) continue
      const copy = `${places.copies}/home-${name.replaceAll('/', '+')}`
      copies.set(copy, filter(text))
      mounts.push(readOnly(`${home}/${name}`, copy))
    }
  }
  // One mount and links into it: each mount costs a quarter of a millisecond at every start.
  mounts.push(writable(CACHES, places.caches))
  for (const name of allow.caches) {
    mounts.push({ kind: 'link', path: `${home}/${name}`, target: `${CACHES}/${name}` })
  }
  for (const name of places.agentState) mounts.push(...shown(files, home, name, writable))
  const folders = [places.caches, ...allow.caches.map((name) => `${places.caches}/${name}`)]
  return { mounts, copies, folders }
}

/** Where the project's caches are inside. */
const CACHES = `${INSIDE}/caches`

const FILTERS = [
  [allow.filteredGit, filteredGit],
  [allow.filteredShell, filteredShell],
  [allow.filteredSettings, filteredSettings],
] as const

/**
 * A link is shown as what it leads to, under its own name: people keep their settings in a
 * repository of their own. One that leads to a folder of credentials is not shown at all.
 */
function shown(
  files: FileView,
  home: string,
  name: string,
  how: (path: string, from: string) => Mount,
): Mount[] {
  const real = files.real(`${home}/${name}`)
  if (real === undefined || isWithin(home, real) || holdsCredentials(home, real)) return []
  const parent = files.real(`${home}/${name}`.replace(/\/[^/]*$/, ''))
  const kind = files.entry(real)?.kind
  if (kind !== 'file' && kind !== 'folder') return []
  // Below a linked folder the same thing is shown once, under the name that was asked for.
  return parent === undefined ? [] : [how(`${home}/${name}`, real)]
}

/** True for the places of standing credentials in a home, and what is in them. */
export function holdsCredentials(home: string, path: string): boolean {
  return allow.credentialFolders.some(
    (name) => isWithin(path, `${home}/${name}`) && path !== `${home}/.ssh/known_hosts`,
  )
}

/** True for a folder that has a place of standing credentials in it. */
export function coversCredentials(home: string, path: string): boolean {
  return allow.credentialFolders.some((name) => isWithin(`${home}/${name}`, path))
}
