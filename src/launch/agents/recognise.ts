import { isWithin, nameMatcher } from '../isolate/paths.ts'
import type { AgentProfile } from './profile.ts'
import { AGENTS } from './profiles.ts'
import type { Program } from './program.ts'

/**
 * The agent that a program is, whatever it was called by: by the package that its file belongs to, by its
 * file's name or installer, and only then by the name of the link or shim that leads to it. A file of somebody
 * else's package is not one, whatever its name: the answer decides who is given a login. Pure.
 */
export function agentOf({ path, real }: Program): AgentProfile | undefined {
  const file = slashes(real)
  const owner = packageOf(file)
  if (owner !== undefined) return AGENTS.find(({ packages }) => isOneOf(packages, owner))
  return (
    AGENTS.find(({ folders }) => folders.some((folder) => file.includes(folder))) ??
    named(file) ??
    named(slashes(path))
  )
}

/** For a person who says which it is: `npx`, a wrapper, a program of another name. */
export function agentNamed(name: string): AgentProfile | undefined {
  return AGENTS.find((agent) => agent.name === name)
}

/**
 * True for a program in the work tree, where an earlier task may have put it: it must not be given what the
 * person's own is given. Paths without links.
 */
export function mayBeTheTasks(real: string, workTree: string): boolean {
  return isWithin(real, workTree)
}

function named(path: string): AgentProfile | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/\.(?:exe|cmd|ps1|bat|[cm]?js)$/i, '')
  return AGENTS.find(({ programs }) => nameMatcher(programs)(name))
}

/** `…/node_modules/@scope/name/…` → `@scope/name`, of the innermost. */
function packageOf(path: string): string | undefined {
  const at = path.lastIndexOf('/node_modules/')
  if (at < 0) return undefined
  return /^(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path.slice(at + '/node_modules/'.length))?.[0]
}

/** Packages for single systems are named after the one they belong to: `@openai/codex-linux-x64`. */
function isOneOf(packages: readonly string[], owner: string): boolean {
  const whole = owner.replace(/-(?:linux|linuxmusl|darwin|win32|windows)-.*$/, '')
  return packages.includes(whole)
}

function slashes(path: string): string {
  return path.replaceAll('\\', '/')
}
