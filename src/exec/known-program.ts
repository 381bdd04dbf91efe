import { realpathSync } from 'node:fs'
import type { Launch } from './launch.ts'
import type { ExecOptions } from './parse.ts'
import type { TaskPlace } from './task.ts'

/** Some word of every agent's and editor's path. What they are is told where they are known. */
export const KNOWN =
  /claude|codex|gemini|opencode|copilot|aider|cursor|openclaw|windsurf|codium|[/\\]code[^/\\]*$/im

/** `undefined` for nearly all commands, which do not load what is known of agents and editors. */
export async function launchOf(
  options: ExecOptions,
  place: TaskPlace,
  path: string,
): Promise<Launch | undefined> {
  const real = withoutLinks(path)
  if (options.agent === undefined && !KNOWN.test(`${path}\n${real}`)) return undefined
  const { knownLaunch } = await import('./agents.ts')
  return knownLaunch(options, place, { path, real })
}

function withoutLinks(path: string): string {
  try {
    return realpathSync.native(path)
  } catch {
    return path
  }
}
