import type { FileView } from '../isolate/file-view.ts'
import { linkedRepository } from '../isolate/linked-worktree.ts'
import { isWithin, lineage } from '../isolate/paths.ts'
import { runLaterPaths } from '../isolate/run-later.ts'
import { secretFiles } from '../isolate/secret-files.ts'
import { literal, rule, subpath } from './sbpl.ts'

/**
 * The work tree, writable, but for what runs later with the person's rights, there or not; and without
 * its secret files. A rule is about a path, so no folder above one of these may be moved aside: moving is
 * removing the old name.
 */
export function workTreeRules(
  files: FileView,
  root: string,
  allowWrite: readonly string[],
): string[] {
  const found = secretFiles(files, root)
  const linked = linkedRepository(files, root)
  const repositories = linked === undefined ? found.repositories : [...found.repositories, linked]
  const allowed = (path: string) => allowWrite.some((open) => isWithin(path, open))
  const later = [...runLaterPaths(files, root, repositories), ...found.gitFiles]
    .flatMap((path) => [path, files.real(path) ?? path])
    .filter((path) => !allowed(path))
  const secrets = found.secrets.filter((path) => !allowWrite.includes(path))
  const held = [...new Set([...later, ...secrets, ...found.sockets])]
  return [
    ...rule('allow', 'file-read* file-write*', [root, ...(linked ? [linked] : [])].map(subpath)),
    ...rule('deny', 'file-write*', [...new Set(later)].map(subpath)),
    ...rule('deny', 'file-write-unlink', above(root, held).map(literal)),
    ...rule('deny', 'file-read-data file-write*', secrets.map(literal)),
    ...rule('deny', 'network-outbound', found.sockets.map(literal)),
  ]
}

/** The root and every folder between it and what is held. */
function above(root: string, held: readonly string[]): string[] {
  const folders = held
    .filter((path) => isWithin(path, root))
    .flatMap((path) => lineage(path).slice(lineage(root).length - 1, -1))
  return [...new Set([root, ...folders])]
}
