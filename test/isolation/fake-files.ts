import { constants } from 'node:fs'
import { posix } from 'node:path'
import type { Entry, FileView } from '../../src/launch/isolate/file-view.ts'

type Node = { readonly text: string; readonly mode: number } | { readonly link: string } | 'socket'

const { S_IFREG, S_IFDIR, S_IFLNK, S_IFSOCK, S_IFIFO } = constants
const TYPES = { file: S_IFREG, folder: S_IFDIR, link: S_IFLNK, socket: S_IFSOCK, other: S_IFIFO }

/** A machine's files without the machine: path → text, `-> target`, or `socket:`; folders come by themselves. */
export function fakeFiles(
  tree: Readonly<Record<string, string>>,
  modes: Readonly<Record<string, number>> = {},
): FileView {
  const nodes = new Map<string, Node>()
  const folders = new Set<string>(['/'])
  for (const [path, content] of Object.entries(tree)) {
    if (path.endsWith('/')) folders.add(path.slice(0, -1))
    else if (content.startsWith('-> ')) nodes.set(path, { link: content.slice(3) })
    else
      nodes.set(
        path,
        content === 'socket:' ? 'socket' : { text: content, mode: modes[path] ?? 0o644 },
      )
    for (let at = posix.dirname(path); at !== '/'; at = posix.dirname(at)) folders.add(at)
  }
  const real = (path: string, depth = 0): string | undefined => {
    let at = ''
    for (const name of posix.normalize(path).split('/').filter(Boolean)) {
      const next = `${at}/${name}`
      const node = nodes.get(next)
      if (node !== undefined && typeof node === 'object' && 'link' in node) {
        const to = real(posix.resolve(at || '/', node.link), depth + 1)
        if (to === undefined || depth > 20) return undefined
        at = to
      } else at = next
    }
    return folders.has(at || '/') || nodes.has(at) ? at || '/' : undefined
  }
  const place = (path: string) => {
    const parent = real(posix.dirname(path))
    return parent === undefined ? undefined : posix.join(parent, posix.basename(path))
  }
  const entry = (path: string): Entry | undefined => {
    const found = unnamed(path)
    return found && { ...found, names: 1, file: place(path) ?? '' }
  }
  const unnamed = (path: string): Omit<Entry, 'names' | 'file'> | undefined => {
    const at = place(path)
    if (at === undefined) return undefined
    if (folders.has(at)) return { kind: 'folder', mode: modes[at] ?? 0o755 }
    const node = nodes.get(at)
    if (node === undefined) return undefined
    if (node === 'socket') return { kind: 'socket', mode: 0o600 }
    if ('link' in node) return { kind: 'link', mode: 0o777 }
    return { kind: 'file', mode: node.mode }
  }
  const list = (path: string) => {
    const at = real(path)
    const all = [...folders, ...nodes.keys()].filter((p) => p !== '/' && posix.dirname(p) === at)
    return all.map((p) => ({ name: posix.basename(p), kind: entry(p)?.kind ?? ('other' as const) }))
  }
  return {
    entry,
    real: (path) => real(path),
    target: (path) => {
      const node = nodes.get(place(path) ?? '')
      return node !== undefined && typeof node === 'object' && 'link' in node
        ? node.link
        : undefined
    },
    text: (path) => {
      const node = nodes.get(place(path) ?? '')
      return node !== undefined && typeof node === 'object' && 'text' in node
        ? node.text
        : undefined
    },
    list,
    bits: (path) => {
      const found = entry(path)
      return found && TYPES[found.kind] | found.mode
    },
  }
}
