import { lineage } from './paths.ts'

/** One step in building what the task sees of the file system. Paths are absolute. */
export type Mount =
  | { readonly kind: 'read-only' | 'writable'; readonly path: string; readonly from: string }
  | { readonly kind: 'fresh'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'dev' | 'proc'; readonly path: string }

/** The same place, inside as outside. */
export function readOnly(path: string, from = path): Mount {
  return { kind: 'read-only', path, from }
}

export function writable(path: string, from = path): Mount {
  return { kind: 'writable', path, from }
}

/** An empty folder of the task's own, in memory. */
export function fresh(path: string, mode?: number): Mount {
  return mode === undefined ? { kind: 'fresh', path } : { kind: 'fresh', path, mode }
}

/**
 * Order is the whole of the meaning: what is mounted later hides what was there. So parents come
 * first, and of two for the same place the one that was named last wins and the other is left out.
 */
export function inOrder(mounts: readonly Mount[]): readonly Mount[] {
  const last = new Map(mounts.map((mount) => [mount.path, mount]))
  return [...last.values()]
    .map((mount) => ({ mount, depth: lineage(mount.path).length }))
    .sort((a, b) => a.depth - b.depth)
    .map(({ mount }) => mount)
}

/** The arguments of bwrap(1) for mounts, in their order. */
export function mountArguments(mounts: readonly Mount[]): string[] {
  return inOrder(mounts).flatMap(argumentsOf)
}

function argumentsOf(mount: Mount): string[] {
  switch (mount.kind) {
    case 'read-only':
      return ['--ro-bind', mount.from, mount.path]
    case 'writable':
      return ['--bind', mount.from, mount.path]
    case 'fresh':
      return ['--perms', (mount.mode ?? 0o755).toString(8).padStart(4, '0'), '--tmpfs', mount.path]
    case 'link':
      return ['--symlink', mount.target, mount.path]
    case 'dev':
      return ['--dev', mount.path]
    case 'proc':
      return ['--proc', mount.path]
  }
}

/** True if the task would see what is at this path outside. */
export function shows(mounts: readonly Mount[], path: string): boolean {
  const byPath = new Map(mounts.map((mount) => [mount.path, mount]))
  const nearest = lineage(path).findLast((parent) => byPath.has(parent))
  const mount = nearest === undefined ? undefined : byPath.get(nearest)
  return (mount?.kind === 'read-only' || mount?.kind === 'writable') && mount.from === mount.path
}
