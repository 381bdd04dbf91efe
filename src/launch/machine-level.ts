import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isBrokerError } from '../errors.ts'
import { hostFiles } from './isolate/file-view.ts'
import { findBubblewrap } from './isolate/find-bubblewrap.ts'
import type { IsolatedLevel } from './isolate/level.ts'
import { type IsolationFacts, planIsolation } from './isolate/plan.ts'
import { prepare } from './isolate/prepare.ts'
import { type Probed, probe } from './isolate/probe.ts'
import { type Reached, reachLevel } from './isolate/reach.ts'
import { terminalInput } from './isolate/terminal-input.ts'

export interface MachineFacts {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `$HOME`. */
  readonly home: string
  readonly brokerFolders: readonly string[]
}

/**
 * The strongest level that this machine builds for a task in a folder of no interest, tried out now,
 * whatever an earlier start found. A real work tree may hold what is not let in; that is told there.
 */
export async function machineLevel(
  facts: MachineFacts,
  platform: NodeJS.Platform = process.platform,
): Promise<Reached> {
  if (platform !== 'linux') return { level: 'scrub', shortfall: ELSEWHERE }
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'broker-doctor-')))
  try {
    const project = join(folder, 'project')
    mkdirSync(project)
    const bubblewrap = findBubblewrap(facts.env, project)
    return await reachLevel('auto', (level) =>
      tried(facts, folder, project, level, bubblewrap).catch(notTried),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function notTried(error: unknown): Probed {
  const known = isBrokerError(error) ? error : undefined
  return {
    works: false,
    reason: known?.message ?? 'it could not be tried',
    hint: known?.hint ?? 'see that there is room in the temp folder',
    said: '',
  }
}

const ELSEWHERE = {
  reason: 'files and the network of a task are shut off on Linux alone in this version',
  hint: 'run agents as a user of their own, or on Linux, where that matters',
}

async function tried(
  { env, home, brokerFolders }: MachineFacts,
  folder: string,
  project: string,
  level: IsolatedLevel,
  bubblewrap: string | undefined,
): Promise<Probed> {
  const stand: IsolationFacts = {
    level,
    home,
    brokerFolders,
    uid: process.getuid?.() ?? -1,
    cwd: project,
    workTree: project,
    environment: { PATH: env['PATH'] ?? '' },
    command: '',
    leaseFolder: join(folder, level),
    cacheFolder: join(folder, level, 'caches'),
    machine: process.arch,
    terminalInput: terminalInput(),
    // Nothing of ours runs in there: any file will do.
    inside: { node: process.execPath, program: process.execPath },
    trust: undefined,
    relays: [],
    names: [],
    ownFolders: [],
    sockets: [],
    allowWrite: [],
    agentState: [],
    alsoRead: [],
  }
  const plan = planIsolation(stand, hostFiles)
  prepare(plan)
  return probe(plan, bubblewrap)
}
