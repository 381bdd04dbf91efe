import { valueShape } from '../value-shape.ts'
import type { FileView } from './file-view.ts'
import { nameMatcher } from './paths.ts'
import tree from './work-tree.json' with { type: 'json' }

export interface Found {
  /** Files that hold secrets by their name, or by their name and what is in them. */
  readonly secrets: readonly string[]
  readonly sockets: readonly string[]
  /** git's own folders: `…/.git`. */
  readonly repositories: readonly string[]
  /** Files called `.git`, which name such a folder elsewhere. */
  readonly gitFiles: readonly string[]
  /** Sentences about what could not be seen to. */
  readonly remarks: readonly string[]
}

/** A start may wait for so many names, not for a whole disk's. */
const MOST_ENTRIES = 50_000
const DEEPEST = 24

const isSecretName = nameMatcher(tree.secretNames)
const isHarmless = nameMatcher(tree.notSecretNames)
const mayBeSecret = nameMatcher(tree.looksSecretNames)
const isBulk = nameMatcher(tree.notLookedInto)
const looksSecret = new RegExp(tree.looksSecret)

/**
 * Looks through a work tree for files that hold secrets, the nearest folders first. Names decide; for names that
 * are harmless as often as not, the content does. Dependencies and git's own folders are not looked into: a key
 * in the history stays in the history.
 */
export function secretFiles(files: FileView, root: string): Found {
  const secrets: string[] = []
  const sockets: string[] = []
  const repositories: string[] = []
  const gitFiles: string[] = []
  const remarks: string[] = []
  const others: string[] = []
  let seen = 0
  const folders: (readonly [path: string, depth: number])[] = [[root, 0]]
  for (const [folder, depth] of folders) {
    for (const { name, kind } of files.list(folder)) {
      const path = `${folder}/${name}`
      seen++
      if (name === '.git' && kind === 'folder') repositories.push(path)
      else if (kind === 'folder' && !isBulk(name) && depth < DEEPEST)
        folders.push([path, depth + 1])
      else if (kind === 'socket') sockets.push(path)
      else if (name === '.git' && kind === 'file') gitFiles.push(path)
      else if (kind === 'file' && isSecret(files, path, name)) secrets.push(path)
      else if (kind === 'link' && !isHarmless(name) && isSecretName(name)) {
        // A mask cannot be put on a link, and what it leads to may have any name.
        const real = files.real(path)
        if (real?.startsWith(`${root}/`) && files.entry(real)?.kind === 'file') secrets.push(real)
      } else if (kind === 'file') others.push(path)
    }
    if (seen > MOST_ENTRIES) {
      remarks.push(`only ${seen} files of "${root}" were looked at for secrets`)
      break
    }
  }
  const masked = [...new Set([...secrets, ...otherNames(files, secrets, others)])]
  return { secrets: masked, sockets, repositories, gitFiles, remarks }
}

/**
 * A mask is on a name, and what has several (hard links) would be read by another. Such files are rare, so
 * only then is every file looked at. A name outside the work tree is not in the task.
 */
function otherNames(
  files: FileView,
  secrets: readonly string[],
  others: readonly string[],
): string[] {
  const linked = new Set<string>()
  for (const path of secrets) {
    const entry = files.entry(path)
    if (entry !== undefined && entry.names > 1) linked.add(entry.file)
  }
  if (linked.size === 0) return []
  return others.filter((path) => linked.has(files.entry(path)?.file ?? ''))
}

function isSecret(files: FileView, path: string, name: string): boolean {
  if (isHarmless(name)) return false
  if (isSecretName(name)) return true
  if (!mayBeSecret(name)) return false
  const text = files.text(path) ?? ''
  return looksSecret.test(text) || valueShape(text) !== undefined
}
