import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'

/** O_CLOEXEC as `/proc/self/fdinfo` shows it, in octal (proc(5)). */
const CLOSES_ON_EXEC = 0o2000000

/** `pos` and `flags` come first. */
const FLAGS_WITHIN = 256

/**
 * Closes what we were started with besides the standard streams: a folder opened by the shell leads
 * out of every mount namespace, for whoever inherits it. Pipes stay (`<(…)` of a shell is one). What Node opened
 * itself is marked to be closed and is none of our business. Only where `/proc` tells.
 */
export function closeInherited(): void {
  const bytes = Buffer.allocUnsafe(FLAGS_WITHIN)
  for (const fd of descriptors()) {
    if (fd > 2 && isInherited(fd, bytes) && !fstatSync(fd).isFIFO()) closeSync(fd)
  }
}

function descriptors(): readonly number[] {
  return readdirSync('/proc/self/fd').map(Number)
}

function isInherited(fd: number, bytes: Buffer): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(startOf(`/proc/self/fdinfo/${fd}`, bytes))?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSES_ON_EXEC) === 0
  } catch {
    return false // the one that read the folder
  }
}

/** One read of what is there: to read a file to its end takes twice as long, and this is done for each descriptor. */
function startOf(path: string, bytes: Buffer): string {
  const fd = openSync(path, 'r')
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes))
  } finally {
    closeSync(fd)
  }
}
