import { closeSync, fstatSync, readdirSync, readFileSync } from 'node:fs'

/** O_CLOEXEC as `/proc/self/fdinfo` shows it, in octal (proc(5)). */
const CLOSES_ON_EXEC = 0o2000000

/**
 * Closes what we were started with besides the standard streams: a folder opened by the shell leads
 * out of every mount namespace, for whoever inherits it. Pipes stay (`<(…)` of a shell is one). What Node opened
 * itself is marked to be closed and is none of our business. Only where `/proc` tells.
 */
export function closeInherited(): void {
  for (const fd of descriptors()) {
    if (fd > 2 && isInherited(fd) && !fstatSync(fd).isFIFO()) closeSync(fd)
  }
}

function descriptors(): readonly number[] {
  return readdirSync('/proc/self/fd').map(Number)
}

function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(
      readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'),
    )?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSES_ON_EXEC) === 0
  } catch {
    return false // the one that read the folder
  }
}
