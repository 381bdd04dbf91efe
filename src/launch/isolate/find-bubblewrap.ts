import { resolveCommand } from '../resolve-command.ts'
import { isWithin } from './paths.ts'

/**
 * The absolute path of `bwrap`, looked for in PATH as a command is; but not in relative folders, nor
 * in the work tree, where an earlier task could have put one to be run outside of every wall.
 */
export function findBubblewrap(
  env: Readonly<Record<string, string | undefined>>,
  workTree: string,
): string | undefined {
  const folders = (env['PATH'] ?? '/usr/bin:/bin').split(':')
  const trusted = folders.filter((path) => path.startsWith('/') && !isWithin(path, workTree))
  if (trusted.length === 0) return undefined
  const found = resolveCommand('bwrap', { PATH: trusted.join(':') }, '/')
  return found.found === 'executable' ? found.path : undefined
}
