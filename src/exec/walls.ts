import { existsSync } from 'node:fs'
import type { ProxyView } from '../api/types.ts'
import { compileCacheFolder } from '../client/compile-cache.ts'
import type { Issued } from '../client/session-terms.ts'
import { BrokerError } from '../errors.ts'
import { type Child, type ChildOptions, startChild } from '../launch/child.ts'
import { INSIDE } from '../launch/isolate/inside-terms.ts'
import type { Level } from '../launch/isolate/level.ts'
import type { IsolationFacts } from '../launch/isolate/plan.ts'
import type { Shortfall } from '../launch/isolate/reach.ts'
import type { Trust } from '../launch/proxy-environment.ts'
import type { Launch } from './launch.ts'
import type { ExecOptions } from './parse.ts'
import type { TaskPlace } from './task.ts'

/** What the lease brought, as far as the walls are concerned: known before the command's environment is. */
export interface Held extends Pick<Issued, 'place'> {
  readonly proxy: ProxyView | null
  readonly trust: Trust | undefined
  /** Folders of the lease that variables name. */
  readonly folders: IsolationFacts['ownFolders']
  /** What the command is to get of the caller and of its grants: names of places are read from it. */
  readonly environment: Readonly<Record<string, string>>
  readonly overlays?: IsolationFacts['overlays']
}

/** What keeps the command apart from its machine, from the choice of the level to the task's end. */
export interface Walls {
  readonly level: Level
  /** Why it is not `confine`, if that was left to us. */
  readonly shortfall: Shortfall | undefined
  /** Begins what takes long and needs no lease. Never throws; may be repeated. */
  begin(): void
  /** Does ahead what else can be done before the lease is there. Never throws; may be repeated. */
  look(environment: Readonly<Record<string, string>>): void
  /**
   * Begins to build what the command will stand in. Returns sentences for the person: what could not be
   * seen to. Throws `isolation_unavailable`, `internal`.
   */
  raise(held: Held): readonly string[]
  /** As `startChild`. `onLost` is told at most once, with a path: the command is being killed then. */
  start(command: ChildOptions, onLost: (path: string) => void): Promise<Child>
  /** The command is over and the last of it goes: what nothing reads any more is removed. Never throws. */
  over(): void
  /** After all of it. Returns what the person should know of it, in lines. */
  end(): readonly string[]
  /** For `--dry-run`: what the command would not see, would see empty, could not write. Starts nothing. */
  describe(environment: Readonly<Record<string, string>>): readonly string[]
}

/**
 * Chooses the level and shows that it works. Throws `isolation_unavailable` for one that was asked
 * for by name and does not.
 */
export async function wallsFor(
  options: ExecOptions,
  place: TaskPlace,
  command: string,
  launch?: Launch,
): Promise<Walls> {
  if (place.caller.inTask && existsSync(`${INSIDE}/inside.cjs`)) throw insideAlready()
  if (options.isolation === 'scrub') return scrub(undefined)
  // What was compiled for the last task need not be once more; no task can have put it there. A first one
  // that is refused leaves nothing behind.
  const cache = existsSync(place.home.state) ? compileCacheFolder(place.env) : undefined
  if (cache) process.getBuiltinModule('node:module').enableCompileCache(cache)
  const { chooseWalls } = await import('./isolated.ts')
  const chosen = await chooseWalls(options, place, command, launch)
  return 'reason' in chosen ? scrub(chosen) : chosen
}

/** The socket of an isolated task starts no other one: it could not reach what that one would need. */
function insideAlready(): BrokerError {
  return new BrokerError('unsupported', 'an isolated task cannot start another one', {
    hint: 'run the command as it is: it has what this task has; a person starts a new task outside',
  })
}

/** A clean environment and nothing else: no boundary against a program of the same user. */
function scrub(shortfall: Shortfall | undefined): Walls {
  return {
    level: 'scrub',
    shortfall,
    begin: () => {},
    look: () => {},
    raise: () => [],
    start: startChild,
    over: () => {},
    end: () => [],
    describe: () => ['  nothing: isolation scrub cleans the environment and hides no files'],
  }
}
