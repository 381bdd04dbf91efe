import type { Level } from '../isolate/level.ts'

export type AgentName =
  | 'claude'
  | 'codex'
  | 'gemini'
  | 'opencode'
  | 'copilot'
  | 'aider'
  | 'cursor'
  | 'openclaw'

/** What we know of an agent. All places are relative to the home; nothing here is a secret. */
export interface AgentProfile {
  readonly name: AgentName
  /** As its makers write it. */
  readonly title: string
  /** Names in the registries it comes from, its packages for single systems included by their prefix. */
  readonly packages: readonly string[]
  /** Names of its program file, without an ending; with `*`. */
  readonly programs: readonly string[]
  /** Parts of the path where its own installer puts it, when the file's name is a version. */
  readonly folders: readonly string[]
  /** Variables that hold its own login and nothing else's. */
  readonly logins: readonly string[]
  /** Variables that say how and where it logs in, and hold no secret. */
  readonly settings: readonly string[]
  /** It takes the key of any model's provider: that of the one in use goes along (`modelKey`). */
  readonly anyModel?: true
  /** Variables that it would take as its login, though they hold more than that: they stay scrubbed. */
  readonly alsoTakes: readonly string[]
  /** What it keeps: its login, its sessions. It writes there. */
  readonly state: readonly string[]
  /** Parts of it, and of its settings, that start programs or give orders later, outside: read-only. */
  readonly runsLater: readonly string[]
  /** Variables that put one of these places elsewhere. */
  readonly moved: readonly Moved[]
  /** Settings that make sense where its own folders are read-only. */
  readonly isolated: Readonly<Record<string, string>>
  /** Where its model and its login are; `*.` stands for any names below. */
  readonly hosts: readonly string[]
  /** What a person has to know of it. */
  readonly remarks: readonly string[]
  readonly adjust?: (facts: AdjustFacts) => Adjustment
}

export interface Moved {
  readonly variable: string
  /** What is below this place is then below the folder that the variable names; '' is the home. */
  readonly place: string
  /** Where in that folder it is, if not at its top: `/name`. */
  readonly at?: string
}

export interface AdjustFacts {
  readonly level: Level
  readonly args: readonly string[]
  /** The task's, whole. Only its names and switches are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Names that the lease brings. */
  readonly granted: readonly string[]
  readonly home: string
  readonly workTree: string
  /** The agent's own folder, absolute: the first of its `state`, wherever it was moved to. */
  readonly stateFolder: string
  readonly uid: number
  /** The start of a plain file; `undefined` if there is none. */
  readonly text: (path: string) => string | undefined
}

/** What has to change so that the lease's variables reach the agent's tools. */
export interface Adjustment {
  /** Put before the person's own arguments. */
  readonly args?: readonly string[]
  /** `undefined` takes a name out. */
  readonly variables?: Readonly<Record<string, string | undefined>>
  /** Files that are there, and what is to be read in them inside: for levels with walls alone. */
  readonly overlays?: ReadonlyMap<string, string>
  readonly remarks?: readonly string[]
}
