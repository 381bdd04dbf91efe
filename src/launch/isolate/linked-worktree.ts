import type { FileView } from './file-view.ts'

/**
 * The repository of a linked work tree (git-worktree(1)): its `.git` is a file that names a folder
 * elsewhere. Believed only if that folder names this work tree in turn: the file could have been
 * written by an earlier task, to be let in anywhere.
 */
export function linkedRepository(files: FileView, root: string): string | undefined {
  const named = /^gitdir: (\/.+)\n?$/.exec(files.text(`${root}/.git`) ?? '')?.[1]
  const own = named === undefined ? undefined : files.real(named)
  if (own === undefined || files.text(`${own}/gitdir`)?.trimEnd() !== `${root}/.git`)
    return undefined
  const common = files.real(`${own}/${files.text(`${own}/commondir`)?.trimEnd() ?? '.'}`)
  if (common === undefined || files.entry(`${common}/objects`)?.kind !== 'folder') return undefined
  return own.startsWith(`${common}/worktrees/`) ? common : undefined
}
