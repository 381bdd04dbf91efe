import { constants } from 'node:fs'
import type { FileView } from './file-view.ts'
import { fresh, type Mount, readOnly } from './mounts.ts'
import { isWithin } from './paths.ts'
import system from './system.json' with { type: 'json' }

/**
 * The machine as far as programs need it, read-only, and nothing else of it: what is not named is
 * not there. `/dev`, `/proc`, `/tmp`, `/run` are the task's own.
 */
export function systemMounts(files: FileView): Mount[] {
  const mounts: Mount[] = [
    { kind: 'proc', path: '/proc' },
    { kind: 'dev', path: '/dev' },
    ...system.fresh.map((path) => fresh(path, path === '/run' ? 0o755 : 0o1777)),
    { kind: 'link', path: '/var/run', target: '/run' },
  ]
  for (const path of system.readOnly) {
    const found = files.entry(path)
    if (found?.kind === 'folder') mounts.push(readOnly(path))
    // `/bin` is a link on most systems, and a mount cannot be put where a link stands.
    else if (found?.kind === 'link') mounts.push(linkLike(files, path))
  }
  return [...mounts, ...resolverMounts(files)]
}

function linkLike(files: FileView, path: string): Mount {
  return { kind: 'link', path, target: files.target(path) ?? '/nonexistent' }
}

/** `/etc/resolv.conf` is a link into `/run` where a resolver daemon writes it. */
function resolverMounts(files: FileView): Mount[] {
  const real = files.real('/etc/resolv.conf')
  return real?.startsWith('/run/') ? [readOnly(real)] : []
}

/** Deeper than any package puts a file. */
const DEEPEST_OF_ETC = 8

/**
 * What of `/etc` an ordinary user could not read. Without capabilities root still owns these files,
 * so its task is shown empty ones.
 */
export function etcMasks(files: FileView, uid: number, empty: string): Mount[] {
  if (uid !== 0) return []
  const found: Mount[] = []
  const look = (path: string, depth: number) => {
    const bits = files.bits(path)
    if (bits === undefined) return
    const secret = system.etcSecrets.includes(path)
    if ((bits & constants.S_IFMT) !== constants.S_IFDIR) {
      if (secret || (bits & 0o004) === 0) found.push(readOnly(path, empty))
    } else if (secret || (bits & 0o001) === 0) found.push(fresh(path))
    else if (depth < DEEPEST_OF_ETC) {
      for (const { name, kind } of files.list(path)) {
        if (kind !== 'link') look(`${path}/${name}`, depth + 1)
      }
    }
  }
  look('/etc', 0)
  return found
}

/**
 * Settings of the kernel belong to root and are asked for no capability: `core_pattern` names a program that
 * runs outside. bubblewrap leaves them writable for root in a user namespace of its own.
 */
export function procMasks(files: FileView, uid: number): Mount[] {
  if (uid !== 0) return []
  return system.procOfRoot.filter((path) => files.entry(path) !== undefined).map((p) => readOnly(p))
}

/** The lease's roots over the system's, wherever a distribution keeps them. */
export function certificateMounts(files: FileView, bundle: string): Mount[] {
  const real = system.certificateBundles.map((path) => files.real(path))
  return [...new Set(real)]
    .filter((path) => path !== undefined && files.entry(path)?.kind === 'file')
    .map((path) => readOnly(path as string, bundle))
}

/** True for a folder whose files are the system's: nobody's work tree, and dangerous as one. */
export function belongsToSystem(path: string): boolean {
  const holdsSystem = system.readOnly.some((folder) => isWithin(folder, path))
  return holdsSystem || system.notWorkTrees.some((folder) => isWithin(path, folder))
}
