import type { Child, ChildEnd } from '../launch/child.ts'
import type { Level } from '../launch/isolate/level.ts'
import type { IsolationFacts } from '../launch/isolate/plan.ts'
import type { Shortfall } from '../launch/isolate/reach.ts'
import type { ExecOptions } from './parse.ts'
import type { TaskPlace } from './task.ts'

/** Where the person and their project are. */
export interface Surroundings {
  readonly options: ExecOptions
  readonly place: TaskPlace
  readonly home: string
  readonly workTree: string
}

/** How an agent or an editor is started; any other command just is. */
export interface Launch {
  /** Names of the person's variables that stay: its own login. */
  readonly pass: readonly string[]
  readonly letIn: LetIn
  /** Why it cannot be behind walls here. */
  readonly shortfall: Shortfall | undefined
  /**
   * Once the level is known, and before anything is asked for: makes what is to be let in. Throws `conflict`
   * if it would be taken over by one that runs already.
   */
  admit(level: Level): void
  fit(lease: LeaseFacts): Fitted
  /** For a program that leaves others behind: what stands for all of them. */
  whole?(child: Child, level: Level, lease: string): WholeChild
}

/** What has to be there behind walls: for `IsolationFacts`. */
export interface LetIn {
  readonly state: IsolationFacts['agentState']
  readonly alsoRead: IsolationFacts['alsoRead']
  /** Absolute: what is told of at the end if it has changed. */
  readonly runsLater: readonly string[]
  readonly sockets: IsolationFacts['sockets']
  readonly folders: IsolationFacts['ownFolders']
  /** The task is over when nothing of it runs any more. */
  readonly waits: boolean
}

export interface LeaseFacts {
  readonly level: Level
  /** The task's, whole. */
  readonly environment: Readonly<Record<string, string>>
  /** Names that the lease brings. */
  readonly granted: readonly string[]
}

export interface Fitted {
  /** If another program is to be started for it. */
  readonly path?: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly overlays?: IsolationFacts['overlays']
  readonly remarks: readonly string[]
  /** Hosts that it needs for itself. */
  readonly hosts: readonly string[]
}

export interface WholeChild extends Child {
  readonly ended: Promise<WholeEnd>
}

export interface WholeEnd extends ChildEnd {
  /** Nobody has the lease's credentials: it is to be revoked, whatever else was wished for. */
  readonly unused?: true
}
