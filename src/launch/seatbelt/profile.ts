import { BrokerError } from '../../errors.ts'
import type { FileView } from '../isolate/file-view.ts'
import type { IsolatedLevel } from '../isolate/level.ts'
import { isWithin } from '../isolate/paths.ts'
import { refuseWorkTree } from '../isolate/refuse-work-tree.ts'
import { homeRules } from './home-rules.ts'
import { networkRules } from './network-rules.ts'
import places from './places.json' with { type: 'json' }
import { processRules } from './process-rules.ts'
import { always, literal, rule, subpath } from './sbpl.ts'
import { workTreeRules } from './work-tree-rules.ts'

export interface SeatbeltFacts {
  readonly level: IsolatedLevel
  readonly home: string
  readonly workTree: string
  /** The folder of the person's temporary files (`$TMPDIR`), which all their programs share. */
  readonly temporary: string
  /** For such files of the task: in the lease's folder. The task's `TMPDIR` has to name it. */
  readonly ownTemporary: string
  /** Where this project's caches live from task to task. Its variables have to name them. */
  readonly cacheFolder: string
  /** Folders of the broker: closed, whatever else is open. */
  readonly brokerFolders: readonly string[]
  /** Files and folders of the lease to be read: roots, settings. */
  readonly ofLease: readonly string[]
  /** Unix sockets that the task may connect to. */
  readonly sockets: readonly string[]
  /** At `confine`: ports of the loopback that lead out, the proxy's and those of services. */
  readonly ports: readonly number[]
  /** `--allow-write`, absolute. */
  readonly allowWrite: readonly string[]
  /** Relative to the home. */
  readonly agentState: readonly string[]
  readonly alsoRead: readonly string[]
}

/**
 * A profile for sandbox-exec(1) with the intent of the Linux walls, as far as the system can: files are
 * refused where they would be hidden there, the home is an allow-list, free names of files that run later
 * are held as well, nothing is asked of the keychain, and no program outside is driven. At `confine` the only ways
 * out are the ports and sockets that are named; the loopback stays the machine's. Pure. Throws `isolation_unavailable`.
 *
 * Not verified on a Mac: `scripts/verify-seatbelt.sh` does that.
 */
export function seatbeltProfile(facts: SeatbeltFacts, files: FileView): string {
  const real = (path: string) => files.real(path) ?? path
  const home = real(facts.home)
  const root = real(facts.workTree)
  const broker = facts.brokerFolders.map(real)
  refuseWorkTree(root, home, broker)
  refuseSystem(root)
  const shared = [...places.everybodys, real(facts.temporary), home]
  const lines = [
    '(version 1)',
    always('allow', 'default'),
    ...processRules(),
    ...['file-write*', 'file-link', 'file-clone'].map((operation) => always('deny', operation)),
    ...rule('allow', 'file-write*', [
      ...places.devices.map(literal),
      `(regex #"${places.terminals}")`,
    ]),
    ...rule('deny', 'file-read* file-write*', shared.map(subpath)),
    // Names are looked up on the way to what is open; what is in files and folders is not.
    ...rule('allow', 'file-read-metadata', shared.map(subpath)),
    ...homeRules(files, home, facts),
    ...rule('allow', 'file-read* file-write*', [
      subpath(real(facts.ownTemporary)),
      subpath(real(facts.cacheFolder)),
    ]),
    ...workTreeRules(files, root, facts.allowWrite.map(real)),
    // Behind everything that was opened, in front of what of the lease is meant for the task.
    ...rule('deny', 'file-read* file-write*', broker.map(subpath)),
    ...rule('allow', 'file-read*', facts.ofLease.map(real).map(subpath)),
    ...rule(
      'allow',
      'file-read* file-write*',
      [facts.ownTemporary, facts.cacheFolder].map(real).filter(inside(broker)).map(subpath),
    ),
    ...networkRules(facts.level, facts.sockets.map(real), facts.ports),
  ]
  return `${lines.join('\n')}\n`
}

function inside(folders: readonly string[]): (path: string) => boolean {
  return (path) => folders.some((folder) => isWithin(path, folder))
}

function refuseSystem(root: string): void {
  const whole = places.notWorkTrees.some((folder) => isWithin(folder, root))
  if (!whole && !places.notWorkTrees.some(holds(root))) return
  throw new BrokerError(
    'isolation_unavailable',
    `"${root}" cannot be a work tree: it belongs to the system`,
    {
      hint: 'go to the folder of the project, or take --isolation scrub, which is no boundary',
      details: { workTree: root },
    },
  )
}

/** A disk of its own is a place for projects; the list of disks is not. */
function holds(root: string): (folder: string) => boolean {
  return (folder) => folder !== '/Volumes' && isWithin(root, folder)
}
