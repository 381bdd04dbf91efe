import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute } from 'node:path'

export type ResolvedCommand =
  | { readonly found: 'executable'; readonly path: string }
  | { readonly found: 'not-executable'; readonly path: string }
  | { readonly found: 'nothing' }

type Environment = Readonly<Record<string, string | undefined>>

/** What the C library searches when PATH is unset. */
const USUAL_PATH = '/usr/bin:/bin'

/**
 * Finds the program `execvp` would run (POSIX.1-2024, "exec"): a name with a slash is a path; any
 * other is looked for in PATH, where an empty entry is the current folder, and a file that may not be
 * executed is passed over but remembered. Asked before any lease is, so that a mistyped command
 * never costs a credential.
 */
export function resolveCommand(
  command: string,
  env: Environment,
  cwd: string,
  platform: NodeJS.Platform = process.platform,
): ResolvedCommand {
  if (command === '') return { found: 'nothing' }
  const named = hasSlash(command, platform)
  const extensions = platform === 'win32' ? windowsExtensions(command, env) : ['']
  const folders = named ? [''] : searchPath(env, platform)
  let refused: string | undefined
  for (const folder of folders) {
    for (const extension of extensions) {
      const path = absolute(cwd, named ? command : absolute(folder, command)) + extension
      const kind = kindOf(path)
      if (kind === 'executable') return { found: 'executable', path }
      // Shells pass over folders and places they may not look into; only a path spelled out is told.
      if (kind === 'not-executable' || (named && kind === 'no-file')) refused ??= path
    }
  }
  return refused === undefined ? { found: 'nothing' } : { found: 'not-executable', path: refused }
}

/** Joined as the kernel would: `link/../x` is not shortened, since `link` may lead elsewhere. */
function absolute(folder: string, path: string): string {
  return isAbsolute(path) ? path : `${folder}/${path}`
}

function hasSlash(command: string, platform: NodeJS.Platform): boolean {
  return command.includes('/') || (platform === 'win32' && command.includes('\\'))
}

function searchPath(env: Environment, platform: NodeJS.Platform): readonly string[] {
  if (platform === 'win32') return ['.', ...(env['PATH'] ?? env['Path'] ?? '').split(';')]
  return (env['PATH'] ?? USUAL_PATH).split(delimiter).map((folder) => folder || '.')
}

function windowsExtensions(command: string, env: Environment): readonly string[] {
  const known = (env['PATHEXT'] ?? '.COM;.EXE').split(';').filter(Boolean)
  const given = known.some((extension) => command.toUpperCase().endsWith(extension.toUpperCase()))
  return given ? [''] : known
}

function kindOf(path: string): 'executable' | 'not-executable' | 'no-file' | 'nothing' {
  try {
    // Without an error for what is not there: a long PATH would make many, each with a stack.
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) return 'nothing'
    if (!found.isFile()) return 'no-file'
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
      ? 'no-file'
      : 'nothing'
  }
  try {
    accessSync(path, constants.X_OK)
    return 'executable'
  } catch {
    return 'not-executable'
  }
}
