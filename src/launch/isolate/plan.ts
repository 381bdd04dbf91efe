import { taskVariables } from './environment.ts'
import type { FileView } from './file-view.ts'
import { homeParts } from './home.ts'
import { INSIDE, type InsideTerms } from './inside-terms.ts'
import type { IsolatedLevel } from './level.ts'
import { fresh, type Mount, mountArguments, readOnly, shows, writable } from './mounts.ts'
import { isWithin } from './paths.ts'
import { refuseWorkTree } from './refuse-work-tree.ts'
import { secretFiles } from './secret-files.ts'
import { startUpCopies } from './start-up-files.ts'
import { systemCallFilter } from './syscalls.ts'
import { certificateMounts, etcMasks, procMasks, systemMounts } from './system.ts'
import { hostsText } from './ways-out.ts'
import { workTreeParts, writablePaths } from './work-tree.ts'

export interface IsolationFacts {
  readonly level: IsolatedLevel
  readonly uid: number
  /** `$HOME`, and the folder to start in. Absolute. */
  readonly home: string
  readonly cwd: string
  /** The top of the project, `cwd` in it: `workTreeOf`. */
  readonly workTree: string
  /** What the command would get; the names of places are read from it (`PATH`, `XDG_RUNTIME_DIR`). */
  readonly environment: Readonly<Record<string, string>>
  /** From `resolveCommand`. */
  readonly command: string
  /** A folder of this lease alone, 0700, outside the work tree; goes with the lease. */
  readonly leaseFolder: string
  /** Where this project's caches live from task to task. */
  readonly cacheFolder: string
  /** Folders of the broker (configuration, state, runtime): nothing in them is ever shown. */
  readonly brokerFolders: readonly string[]
  /** Roots for the task, and the files among them that its variables name, unless they are `unnamed`. */
  readonly trust:
    | { readonly bundleFile: string; readonly addedFile: string; readonly unnamed?: true }
    | undefined
  /**
   * Ways out of a confined task: an address of its own loopback → a unix socket outside. The proxy is one of
   * them. At `mask` the machine's own loopback is there, and these are not used.
   */
  readonly relays: readonly {
    readonly host: string
    readonly port: number
    readonly from: string
  }[]
  /** Host names that lead to addresses inside: those of `relays`. */
  readonly names: readonly { readonly name: string; readonly address: string }[]
  /** `process.arch`, and whether programs may type into their terminal (`terminalInput`). */
  readonly machine: string
  readonly terminalInput: boolean
  /** Folders of the lease that variables name, at their own place or put there. Absolute. */
  readonly ownFolders: readonly {
    readonly path: string
    readonly from?: string
    readonly writable: boolean
  }[]
  /** Unix sockets to let in, or folders that hold nothing else: outside → inside. */
  readonly sockets: readonly { readonly from: string; readonly path: string }[]
  /** `--allow-write`, absolute. */
  readonly allowWrite: readonly string[]
  readonly agentState: readonly string[]
  /** Configured additions to the home's allow-list, read-only, relative to the home. */
  readonly alsoRead: readonly string[]
  /** Files that read otherwise inside: real path → text. They are there outside. */
  readonly overlays?: ReadonlyMap<string, string>
  /**
   * The program that runs first inside, and the Node that runs it. `folder` holds the program already, and
   * an empty place for whatever else is mounted at `INSIDE`: one mount in place of several.
   */
  readonly inside: { readonly node: string; readonly program: string; readonly folder?: string }
}

export interface IsolationPlan {
  readonly level: IsolatedLevel
  /** For bwrap's `--args`: without the command, and without a secret. */
  readonly arguments: readonly string[]
  /** For the program inside. */
  readonly relays: InsideTerms['relays']
  /** For bwrap's `--seccomp`. */
  readonly filter: Uint8Array | undefined
  /** Changes to the environment; `undefined` takes a name out. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** To be made before the start (`prepare`). */
  readonly copies: ReadonlyMap<string, string>
  readonly folders: readonly string[]
  /** Files of the work tree that read as empty: for `watchMasks`. */
  readonly masked: readonly string[]
  /** Paths of the work tree that the task may read and not write. */
  readonly held: readonly string[]
  /** Paths whose changes are to be told at the end: for `runLaterState`. */
  readonly runLater: readonly string[]
  /** Sentences for the person: what could not be seen to. */
  readonly remarks: readonly string[]
}

const NO_TERMINAL =
  'the task has no terminal of its own: this kernel lets programs type into one, and job control is lost'

/** The same for every level: own process table, own message queues, no rights, and an end with us. */
const FIXED = [
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--unshare-cgroup-try',
  '--die-with-parent',
  // Also for root, who without it keeps all rights and takes every mask off again.
  '--cap-drop',
  'ALL',
] as const

/**
 * What bubblewrap has to do so that the task sees only what it needs. Pure: nothing is written, and
 * all that is asked of the machine is asked of `files`. Throws `isolation_unavailable` for a work tree
 * that cannot be let in without what this is about.
 */
export function planIsolation(facts: IsolationFacts, files: FileView): IsolationPlan {
  const home = files.real(facts.home) ?? facts.home
  const root = files.real(facts.workTree) ?? facts.workTree
  const hidden = facts.brokerFolders.map((path) => files.real(path) ?? path)
  refuseWorkTree(root, home, hidden)
  const copies = `${facts.leaseFolder}/inside`
  const empty = `${copies}/empty`
  const found = secretFiles(files, root)
  const allowWrite = writablePaths(files, facts.allowWrite)
  const sockets = facts.sockets.map(({ path }) => path)
  const tree = workTreeParts(files, { root, found, copies, empty, allowWrite, sockets })
  const person = homeParts(files, { ...facts, home, copies, caches: facts.cacheFolder })
  const machine = startUpCopies(files, copies)
  const hosts = hostsCopy(facts, files, copies)
  const base: Mount[] = [
    ...systemMounts(files),
    ...procMasks(files, facts.uid),
    ...machine.mounts,
    ...etcMasks(files, facts.uid, empty),
    ...(facts.trust ? certificateMounts(files, facts.trust.bundleFile) : []),
    ...hosts.mounts,
    ...linkTo(facts.home, home),
    ...person.mounts,
    ...linkTo(facts.workTree, root),
    ...tree.mounts,
  ]
  // Behind everything else: whatever was let in above them, these are shut again.
  const shut = hidden.filter((path) => shows(base, path)).map((path) => fresh(path, 0o700))
  const tools = toolMounts(facts, files, [...base, ...shut], [home, ...hidden])
  const relays = facts.level === 'confine' ? facts.relays : []
  const sides = relays.map(({ from }, index) => readOnly(`${INSIDE}/relay-${index}.sock`, from))
  const overlays = overlayCopies(facts, copies)
  const own = ownMounts(facts, files)
  const mounts = [...base, ...tools, ...shut, ...own, ...sides, ...overlays.mounts]
  const filter = systemCallFilter(facts.machine)
  // Without the filter only a session without the terminal keeps a task from typing into it.
  const newSession = filter === undefined && facts.terminalInput
  return {
    level: facts.level,
    relays: relays.map(({ host, port }, i) => ({ host, port, path: `${INSIDE}/relay-${i}.sock` })),
    filter,
    arguments: [
      ...FIXED,
      ...(facts.uid === 0 ? ['--unshare-user-try'] : []),
      ...(facts.level === 'confine' ? ['--unshare-net'] : []),
      ...(newSession ? ['--new-session'] : []),
      ...mountArguments(mounts),
      '--remount-ro',
      '/',
      '--chdir',
      files.real(facts.cwd) ?? facts.cwd,
    ],
    variables: taskVariables(facts),
    copies: new Map([
      ...person.copies,
      ...machine.copies,
      ...hosts.copies,
      ...overlays.copies,
      ...tree.copies,
      [empty, ''],
    ]),
    folders: person.folders,
    masked: tree.masked,
    held: tree.held,
    runLater: tree.runLater,
    remarks: [...found.remarks, ...(newSession ? [NO_TERMINAL] : [])],
  }
}

function linkTo(name: string, real: string): Mount[] {
  return name === real ? [] : [{ kind: 'link', path: name, target: real }]
}

/** Also without a name to add: names may come when the walls already stand. */
function hostsCopy(facts: IsolationFacts, files: FileView, folder: string) {
  const path = files.real('/etc/hosts')
  if (facts.level !== 'confine' || path === undefined) return { mounts: [], copies: [] }
  const copy = `${folder}/hosts`
  const text = hostsText(files.text(path) ?? '', facts.names)
  return { mounts: [readOnly(path, copy)], copies: [[copy, text] as const] }
}

function overlayCopies({ overlays = new Map() }: IsolationFacts, folder: string) {
  const all = [...overlays].map(([path, text], index) => {
    return { path, text, copy: `${folder}/overlay-${index}` }
  })
  return {
    mounts: all.map(({ path, copy }) => readOnly(path, copy)),
    copies: all.map(({ copy, text }) => [copy, text] as const),
  }
}

/** Our program and its Node, the roots, the sockets: each at the place where the task looks for it. */
function ownMounts(facts: IsolationFacts, files: FileView): Mount[] {
  const { inside, trust } = facts
  const runtime = facts.environment['XDG_RUNTIME_DIR']
  const named = trust && !trust.unnamed ? [trust.bundleFile, trust.addedFile] : []
  return [
    ...(inside.folder === undefined
      ? [fresh(INSIDE), readOnly(`${INSIDE}/inside.cjs`, inside.program)]
      : [readOnly(INSIDE, inside.folder)]),
    readOnly(`${INSIDE}/node`, files.real(inside.node) ?? inside.node),
    ...(runtime?.startsWith('/run/') ? [fresh(runtime, 0o700)] : []),
    ...named.map((path) => readOnly(path)),
    ...facts.sockets.map(({ from, path }) => readOnly(path, from)),
    ...facts.ownFolders.map((own) => (own.writable ? writable : readOnly)(own.path, own.from)),
  ]
}

/**
 * Folders of programs that are nowhere yet: those of `PATH`, and that of the command itself. Not one
 * that holds the home or what is the broker's.
 */
function toolMounts(
  facts: IsolationFacts,
  files: FileView,
  mounts: readonly Mount[],
  never: readonly string[],
): Mount[] {
  const command = [facts.command, files.real(facts.command)].filter((path) => path !== undefined)
  const folders = [
    ...(facts.environment['PATH'] ?? '').split(':'),
    ...command.map((path) => path.replace(/\/[^/]*$/, '')),
  ]
  const real = folders.filter((path) => path.startsWith('/')).map((path) => files.real(path))
  return [...new Set(real)]
    .filter((path) => path !== undefined && files.entry(path)?.kind === 'folder')
    .filter((path): path is string => path !== undefined && !shows(mounts, path))
    .filter((path) => !never.some((place) => isWithin(place, path)))
    .filter((path) => !never.slice(1).some((place) => isWithin(path, place)))
    .map((path) => readOnly(path))
}

/** The nearest folder with a repository in it, but never the home or above; else `cwd` itself. */
export function workTreeOf(cwd: string, home: string, files: FileView): string {
  const start = files.real(cwd) ?? cwd
  const stop = files.real(home) ?? home
  for (
    let path = start;
    path !== '' && !isWithin(stop, path);
    path = path.replace(/\/[^/]*$/, '')
  ) {
    if (files.entry(`${path}/.git`) !== undefined) return path
  }
  return start
}
