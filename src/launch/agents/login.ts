import { isAbsolute } from 'node:path'
import type { FileView } from '../isolate/file-view.ts'
import type { Level } from '../isolate/level.ts'
import { isWithin } from '../isolate/paths.ts'
import { modelKey } from './model-keys.ts'
import type { AgentProfile } from './profile.ts'

type Variables = Readonly<Record<string, string | undefined>>

export interface LoginFacts {
  readonly level: Level
  readonly args: readonly string[]
  /** The person's own, before anything is taken out of it. */
  readonly environment: Variables
  readonly home: string
  readonly files: Pick<FileView, 'entry' | 'real'>
}

/** What an agent keeps of the person's, and nothing of any other agent's. */
export interface AgentLogin {
  /** Names for `ScrubOptions.pass`. */
  readonly pass: readonly string[]
  /** For `IsolationFacts.agentState`: relative to the home, writable. */
  readonly state: readonly string[]
  /**
   * For `IsolationFacts.alsoRead`: relative to the home, read-only, also where it is part of `state`. Of a link
   * what it leads to: a mount cannot be put where a link stands, and the link leads there inside as well.
   */
  readonly held: readonly string[]
  /** Those that no mount can hold, for they are not there yet or are links; absolute: for `runLaterState`. */
  readonly runsLater: readonly string[]
  /** Absolute. */
  readonly stateFolder: string
  /** Where its model and its login are: for `egress`. */
  readonly hosts: readonly string[]
  readonly remarks: readonly string[]
}

/** Asks `files` alone. Paths with links in them are for the plan to look at. */
export function loginOf(profile: AgentProfile, facts: LoginFacts): AgentLogin {
  const { environment } = facts
  const model = profile.anyModel ? modelKey(facts.args, environment) : undefined
  const logins = [...profile.logins, ...(model?.names ?? [])]
  const moved = profile.moved.map(({ variable }) => variable)
  const there = (name: string) => environment[name] !== undefined
  const pass = [...new Set([...logins, ...profile.settings, ...moved])].filter(there)
  const placed = (names: readonly string[]) => names.map((name) => placeOf(profile, facts, name))
  const state = placed(profile.state)
  const runsLater = placed(profile.runsLater)
  return {
    pass,
    state: relative(state, facts),
    held: relative(
      runsLater.map((path) => ledTo(path, facts)),
      facts,
    ),
    runsLater: runsLater.filter((path) => !isThere(path, facts)),
    stateFolder: state[0] ?? facts.home,
    hosts: [...profile.hosts, ...(model?.hosts ?? [])],
    remarks: [
      ...profile.remarks,
      ...loginRemarks(profile, logins.filter(there), state, facts),
      ...undecided(profile, model?.undecided ?? []),
      ...(facts.level === 'scrub' ? [] : placeRemarks(profile, state, facts)),
    ],
  }
}

function placeOf(profile: AgentProfile, { environment, home }: LoginFacts, name: string): string {
  for (const { variable, place, at = '' } of profile.moved) {
    const folder = environment[variable]
    if (folder === undefined || !isAbsolute(folder)) continue
    if (place === '') return `${folder}/${name}`
    if (isWithin(name, place)) return folder + at + name.slice(place.length)
  }
  return `${home}/${name}`
}

function isThere(path: string, { files }: LoginFacts): boolean {
  const kind = files.entry(path)?.kind
  return kind !== undefined && kind !== 'link'
}

function ledTo(path: string, { files }: LoginFacts): string {
  return files.entry(path)?.kind === 'link' ? (files.real(path) ?? path) : path
}

/** The home may itself be a link: what a link in it leads to is below the real one. */
function relative(paths: readonly string[], { home, files }: LoginFacts): string[] {
  const homes = [home, files.real(home) ?? home]
  return paths.flatMap((path) => {
    const within = homes.find((one) => path !== one && isWithin(path, one))
    return within === undefined ? [] : [path.slice(within.length + 1)]
  })
}

function loginRemarks(
  { title, alsoTakes }: AgentProfile,
  names: readonly string[],
  state: readonly string[],
  facts: LoginFacts,
): string[] {
  const stored = state.some((path) => facts.files.entry(path) !== undefined)
  const others = alsoTakes.filter((name) => facts.environment[name] !== undefined)
  return [
    ...(names.length > 0 || stored
      ? [`${title} keeps its own login, and every command it runs can read that`]
      : []),
    ...(names.length === 0 && others.length > 0
      ? [`${others.join(', ')} did not go along as a login; --pass it if that is what it is`]
      : []),
  ]
}

function undecided({ title }: AgentProfile, names: readonly string[]): string[] {
  if (names.length === 0) return []
  return [`${title} could use any of ${names.join(', ')}: name the one it may have with --pass`]
}

function placeRemarks(
  { title }: AgentProfile,
  state: readonly string[],
  { home, files }: LoginFacts,
): string[] {
  const outside = state.filter((path) => !isWithin(path, home))
  const missing = state.every((path) => files.entry(path) === undefined)
  return [
    ...outside.map(
      (path) => `${title} keeps things in ${path}, which is not in the home: not there`,
    ),
    ...(missing
      ? [
          `${title} has kept nothing yet; start it once without the broker, what it keeps now is lost`,
        ]
      : []),
  ]
}
