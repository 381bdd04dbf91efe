import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FileView } from '../launch/isolate/file-view.ts'
import type { IsolatedLevel } from '../launch/isolate/level.ts'
import { type IsolationFacts, planIsolation } from '../launch/isolate/plan.ts'
import { prepare } from '../launch/isolate/prepare.ts'
import { type Probed, probe } from '../launch/isolate/probe.ts'
import { terminalInput } from '../launch/isolate/terminal-input.ts'
import type { LetIn } from './launch.ts'
import type { TaskPlace } from './task.ts'

/** Where a task is to stand, as far as it is known without a lease. */
export interface Ground {
  readonly files: FileView
  readonly home: string
  readonly workTree: string
  readonly cwd: string
  /** Absolute; empty if there is none yet. */
  readonly command: string
  readonly brokerFolders: readonly string[]
  readonly allowWrite: readonly string[]
  /** The bundle of the program inside. */
  readonly program: string
  readonly place: TaskPlace
  /** What an agent or an editor has besides. */
  readonly letIn: LetIn
}

/** What is known of the task before its lease. */
export function factsOn(
  ground: Ground,
  level: IsolatedLevel,
  environment: Readonly<Record<string, string>>,
) {
  const { home, workTree, cwd, command, brokerFolders, allowWrite, program, letIn } = ground
  return {
    ...{ level, environment, home, workTree, cwd, command, brokerFolders, allowWrite },
    uid: process.getuid?.() ?? -1,
    machine: process.arch,
    terminalInput: terminalInput(),
    agentState: letIn.state,
    alsoRead: letIn.alsoRead,
    inside: { node: process.execPath, program },
  }
}

/** The same with a folder that stands for the lease's. */
export function standIn(
  ground: Ground,
  level: IsolatedLevel,
  environment: Readonly<Record<string, string>>,
  folder: string,
): IsolationFacts {
  return {
    ...factsOn(ground, level, environment),
    leaseFolder: folder,
    cacheFolder: `${folder}/caches`,
    ...{ trust: undefined, sockets: [], ownFolders: [], relays: [], names: [] },
  }
}

/** The very walls of this work tree, for a program that does nothing. */
export async function probeOn(
  ground: Ground,
  level: IsolatedLevel,
  bubblewrap: string | undefined,
): Promise<Probed> {
  const folder = mkdtempSync(join(tmpdir(), 'broker-probe-'))
  try {
    const environment = { PATH: ground.place.env['PATH'] ?? '' }
    const plan = planIsolation(standIn(ground, level, environment, folder), ground.files)
    prepare(plan)
    return await probe(plan, bubblewrap)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
