import { readFileSync } from 'node:fs'
import { release } from 'node:os'

/**
 * Whether this kernel lets a program type into its terminal (TIOCSTI, ioctl_tty(2)): before Linux 6.2
 * always, since then where `dev.tty.legacy_tiocsti` says so. True where nobody can tell.
 */
export function terminalInput(version = release(), setting = readSetting): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2)) return true
  return setting() !== '0'
}

function readSetting(): string | undefined {
  try {
    return readFileSync('/proc/sys/dev/tty/legacy_tiocsti', 'latin1').trim()
  } catch {
    return undefined
  }
}
