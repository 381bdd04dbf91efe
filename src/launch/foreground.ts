import { readFileSync } from 'node:fs'

/**
 * True if we belong to the foreground process group of a terminal, the group to which the kernel
 * itself sends what is typed (Ctrl-C, Ctrl-\). False without a terminal, and where nobody can tell.
 */
export function isForeground(platform: NodeJS.Platform = process.platform): boolean {
  if (platform === 'win32') return false
  try {
    const groups = platform === 'linux' ? groupsFromProc() : groupsFromPs()
    return groups.own > 0 && groups.own === groups.foreground
  } catch {
    return false
  }
}

interface Groups {
  readonly own: number
  readonly foreground: number
}

/** proc(5), /proc/pid/stat: after the name in brackets come state, ppid, pgrp, session, tty_nr, tpgid. */
function groupsFromProc(): Groups {
  const stat = readFileSync('/proc/self/stat', 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { own: Number(fields[2]), foreground: Number(fields[5]) }
}

function groupsFromPs(): Groups {
  const { execFileSync } = process.getBuiltinModule('node:child_process')
  const text = execFileSync('/bin/ps', ['-o', 'pgid=,tpgid=', '-p', String(process.pid)], {
    encoding: 'latin1',
    timeout: 1000,
  })
  const [own, foreground] = text.trim().split(/\s+/)
  return { own: Number(own), foreground: Number(foreground) }
}
