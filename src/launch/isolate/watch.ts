import { type FSWatcher, lstatSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import { isWithin } from './paths.ts'

/** When the kernel has no watch left to give. */
const LOOK_EVERY_MS = 500

export interface MaskWatch {
  close(): void
}

/**
 * A mask holds on to the file that was there. Renamed over from outside (as most editors save), the
 * new one stands in the task bare: `onLost` is called once, with its path, and the task has to end. Between the
 * two there is a moment in which the task may have read it. A file that is only gone shows nothing.
 */
export function watchMasks(
  paths: readonly string[],
  onLost: (path: string) => void,
  workTree: string,
): MaskWatch {
  const masked = new Map(paths.map((path) => [path, identity(path)]))
  // From the top: what appears in a folder after it was watched is told, what was there before is seen.
  const folders = [...new Set(paths.flatMap((path) => above(path, workTree)))].sort(byLength)
  const watchers = new Map<string, { readonly folder: string; readonly watcher: FSWatcher }>()
  let timer: NodeJS.Timeout | undefined
  let open = true
  const close = () => {
    open = false
    clearInterval(timer)
    for (const { watcher } of watchers.values()) watcher.close()
  }
  const look = () => {
    if (!open) return
    follow()
    for (const [path, before] of masked) {
      const now = open ? identity(path) : undefined
      if (now === undefined || now === before) continue
      close()
      onLost(path)
    }
  }
  const lookOften = () => {
    timer ??= setInterval(look, LOOK_EVERY_MS).unref()
  }
  /** A folder that took the place of another is not the one that was watched. */
  const follow = () => {
    for (const path of folders) {
      const folder = identity(path)
      if (folder === undefined || watchers.get(path)?.folder === folder) continue
      watchers.get(path)?.watcher.close()
      watchers.delete(path)
      try {
        const watcher = watch(path, { persistent: false }, look).on('error', lookOften)
        watchers.set(path, { folder, watcher })
      } catch {
        lookOften()
      }
    }
  }
  look() // which also sees what happened while the watches were set up
  return { close }
}

/** A renamed folder takes its masks along, and one of the same name has none: so those above count too. */
function above(path: string, workTree: string): string[] {
  const parents: string[] = []
  for (let at = dirname(path); isWithin(at, workTree); at = dirname(at)) {
    parents.push(at)
    if (at === workTree) break
  }
  return parents
}

function byLength(one: string, other: string): number {
  return one.length - other.length
}

/** With its birth: a file system gives the number of a removed file to the next one. */
function identity(path: string): string | undefined {
  try {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    return found && `${found.dev} ${found.ino} ${found.birthtimeNs}`
  } catch {
    return undefined
  }
}
