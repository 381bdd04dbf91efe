import type { FileView } from './file-view.ts'
import { nameMatcher } from './paths.ts'
import tree from './work-tree.json' with { type: 'json' }

const IN_REPOSITORY = tree.runLater.filter((name) => name.startsWith('.git/'))
const AT_THE_TOP = tree.runLater.filter((name) => !name.startsWith('.git/'))

/** Deeper or wider than this nobody keeps hooks. */
const DEEPEST = 6

/**
 * Paths whose content runs or decides what runs when the person, an editor or another agent comes
 * by later: whether anything is there or not. `repositories` are git's own folders (`…/.git`,
 * `…/.git/modules/x`).
 */
export function runLaterPaths(
  files: FileView,
  root: string,
  repositories: readonly string[],
): readonly string[] {
  const paths = AT_THE_TOP.map((name) => `${root}/${name}`)
  // Also where there is none yet: a task can make it, and it works from then on.
  const all = new Set([`${root}/.git`, ...repositories])
  for (const repository of [...all, ...repositories.flatMap((r) => modules(files, r))]) {
    paths.push(...IN_REPOSITORY.map((name) => repository + name.slice('.git'.length)))
  }
  return [...new Set(paths)]
}

/** Submodules' repositories lie in that of the whole, also below one another. */
function modules(files: FileView, repository: string): string[] {
  const found: string[] = []
  const look = (folder: string, depth: number) => {
    for (const { name, kind } of files.list(folder)) {
      if (kind !== 'folder' || depth > DEEPEST) continue
      const path = `${folder}/${name}`
      if (files.entry(`${path}/HEAD`)?.kind !== 'file') look(path, depth + 1)
      else {
        found.push(path)
        look(`${path}/modules`, depth + 1)
      }
    }
  }
  look(`${repository}/modules`, 0)
  return found
}

/** What stands in such paths, to be compared at the end of the task: as it is, since to load a digest takes longer. */
export type RunLaterState = ReadonlyMap<string, string>

export function runLaterState(files: FileView, paths: readonly string[]): RunLaterState {
  const state = new Map<string, string>()
  for (const path of paths) remember(files, path, state, 0)
  return state
}

/** Files that are new, changed or gone, sorted. */
export function runLaterChanges(before: RunLaterState, after: RunLaterState): readonly string[] {
  const paths = new Set([...before.keys(), ...after.keys()])
  return [...paths].filter((path) => before.get(path) !== after.get(path)).sort()
}

const isBulk = nameMatcher(tree.notLookedInto)

function remember(files: FileView, path: string, state: Map<string, string>, depth: number): void {
  const entry = files.entry(path)
  if (entry === undefined) return
  const content = entry.kind === 'link' ? files.target(path) : files.text(path)
  state.set(path, `${entry.kind} ${entry.mode} ${content ?? ''}`)
  if (entry.kind !== 'folder' || depth >= DEEPEST) return
  for (const { name } of files.list(path)) {
    if (!isBulk(name)) remember(files, `${path}/${name}`, state, depth + 1)
  }
}
