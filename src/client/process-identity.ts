import { readFileSync } from 'node:fs'

/**
 * What tells a process from a later one with the same number: its start time (field 22 of
 * /proc/pid/stat, proc(5)) and its name. `undefined` if there is none or nobody can tell.
 */
export function identityOf(
  pid: number,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 1 || platform === 'win32') return undefined
  try {
    return platform === 'linux' ? fromProc(pid) : fromPs(pid)
  } catch {
    return undefined
  }
}

function fromProc(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const nameEnd = stat.lastIndexOf(')')
  const fields = stat.slice(nameEnd + 2).split(' ')
  // A zombie is dead already and only waits to be collected.
  return fields[0] === 'Z' ? undefined : `${fields[19]} ${stat.slice(stat.indexOf('('), nameEnd)}`
}

function fromPs(pid: number): string | undefined {
  const { execFileSync } = process.getBuiltinModule('node:child_process')
  const text = execFileSync('/bin/ps', ['-o', 'lstart=,comm=', '-p', String(pid)], {
    encoding: 'latin1',
    env: { LC_ALL: 'C' },
    timeout: 1000,
  })
  return text.trim() || undefined
}
