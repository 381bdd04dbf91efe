import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { VERSION } from '../client/version.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { hostFiles } from '../launch/isolate/file-view.ts'
import { findBubblewrap } from '../launch/isolate/find-bubblewrap.ts'
import { isWithin } from '../launch/isolate/paths.ts'
import { workTreeOf } from '../launch/isolate/plan.ts'
import { reachLevel, type Shortfall, unavailable } from '../launch/isolate/reach.ts'
import { refuseWorkTree } from '../launch/isolate/refuse-work-tree.ts'
import { rememberedFiles } from '../launch/isolate/remembered-files.ts'
import { verdictsIn } from '../launch/isolate/verdicts.ts'
import { refuseLinksAtTheTop, writablePaths } from '../launch/isolate/work-tree.ts'
import { highestOn } from '../launch/seatbelt/platform.ts'
import { type Ground, probeOn } from './ground.ts'
import { InsideWalls } from './inside-walls.ts'
import type { Launch, LetIn } from './launch.ts'
import type { ExecOptions } from './parse.ts'
import type { TaskPlace } from './task.ts'

/**
 * Everything above `scrub`: a bundle of its own, loaded where it is wanted. Returns why there is
 * nothing, if `auto` finds nothing; throws `isolation_unavailable` for a level that was named.
 */
export async function chooseWalls(
  options: ExecOptions,
  place: TaskPlace,
  command: string,
  launch?: Launch,
): Promise<InsideWalls | Shortfall> {
  const { isolation } = options
  const without = shortfallOf(options) ?? launch?.shortfall
  if (without !== undefined) return refuseNamed(isolation, without)
  const files = rememberedFiles(hostFiles)
  const ground = groundOf(options, place, command, files, launch?.letIn ?? NOTHING)
  if (isShortfall(ground)) return refuseNamed(isolation, ground)
  const bubblewrap = findBubblewrap(place.env, ground.workTree)
  const verdicts = verdictsOf(bubblewrap, place)
  const { level, shortfall } = await reachLevel(
    isolation === 'scrub' ? 'auto' : isolation,
    async (tried) => {
      if (verdicts?.works(tried)) return { works: true }
      const probed = await probeOn(ground, tried, bubblewrap)
      if (probed.works) verdicts?.remember(tried)
      return probed
    },
  )
  if (level === 'scrub' || bubblewrap === undefined) {
    return shortfall ?? { reason: 'it does not work here', hint: 'see broker doctor' }
  }
  // What an agent or an editor needs is known with the lease; and inside a task our folders are not for us.
  const ahead = launch === undefined && !place.caller.inTask
  return new InsideWalls({ level, shortfall, ground, bubblewrap, verdicts, ahead })
}

const NOTHING: LetIn = {
  ...{ state: [], alsoRead: [], runsLater: [], sockets: [], folders: [], waits: false },
}

function refuseNamed(isolation: ExecOptions['isolation'], shortfall: Shortfall): Shortfall {
  if (isolation === 'mask' || isolation === 'confine') throw unavailable(isolation, shortfall)
  return shortfall
}

/** Where there is nothing to try. */
function shortfallOf(options: ExecOptions): Shortfall | undefined {
  const { remark } = highestOn(process.platform)
  if (remark !== undefined) {
    return {
      reason: remark,
      hint: 'use Linux, or a virtual machine or container with it, for mask and confine',
    }
  }
  if (options.untilTtl && options.isolation === 'auto') {
    return {
      reason: '--until-ttl is for programs that outlive the command, and inside walls none does',
      hint: 'leave --until-ttl away, or name the level',
    }
  }
  return undefined
}

function isShortfall(found: Ground | Shortfall): found is Shortfall {
  return 'reason' in found
}

/** Where the task is to stand. A place that cannot be let in leaves `auto` with nothing. */
function groundOf(
  options: ExecOptions,
  place: TaskPlace,
  command: string,
  files: Ground['files'],
  letIn: LetIn,
): Ground | Shortfall {
  const home = place.env['HOME'] || homedir()
  const workTree = workTreeOf(place.cwd, home, files)
  const { root, config, state, run, socket } = place.home
  const own = place.env['BROKER_HOME'] ? [root] : []
  const brokerFolders = [...new Set([...own, config, state, run, dirname(socket)])]
  const hidden = brokerFolders.map((path) => files.real(path) ?? path)
  try {
    refuseWorkTree(workTree, files.real(home) ?? home, hidden)
  } catch (error) {
    if (options.isolation !== 'auto' || !isBrokerError(error)) throw error
    return { reason: error.message, hint: error.hint }
  }
  const { allowWrite } = options
  const writable = writablePaths(files, allowWrite)
  for (const path of writable) refuseElsewhere(path, workTree)
  // A task may have left one behind: so this is no reason to do with less.
  refuseLinksAtTheTop(files, workTree, writable)
  const { cwd, distFolder } = place
  const program = join(distFolder, 'inside.cjs')
  return { files, home, workTree, cwd, command, brokerFolders, allowWrite, program, place, letIn }
}

function refuseElsewhere(path: string, workTree: string): void {
  if (isWithin(path, workTree)) return
  throw new BrokerError('usage', `--allow-write "${path}" is not in the work tree "${workTree}"`, {
    hint: 'outside of the work tree nothing can be written from inside',
  })
}

function verdictsOf(bubblewrap: string | undefined, { caller, home }: TaskPlace) {
  if (bubblewrap === undefined) return undefined
  // A task could prepare one for the person.
  const file = caller.inTask ? undefined : join(home.state, 'isolation.json')
  const uid = process.getuid?.() ?? -1
  return verdictsIn(file, { bubblewrap, version: VERSION, uid })
}
