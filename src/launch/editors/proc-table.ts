import { readdirSync, readFileSync } from 'node:fs'
import type { CommandLine, ProcessTable, Seen } from './processes.ts'

/** Linux: `mark` is a whole variable, `NAME=value`, that only processes of this task have. */
export function procTable(mark: string): ProcessTable {
  const wanted = Buffer.from(`\0${mark}\0`)
  return {
    list: () => listProcesses(),
    marked: (pid) => {
      const environment = read(`/proc/${pid}/environ`)
      return environment !== undefined && Buffer.concat([NUL, environment, NUL]).includes(wanted)
    },
  }
}

/**
 * Linux, in a process namespace of the task's own: all are the task's but its first process, which
 * reaps, and ourselves.
 */
export function namespaceTable(): ProcessTable {
  const notTheTasks = new Set([1, process.pid])
  return {
    list: () => listProcesses().filter(({ pid }) => !notTheTasks.has(pid)),
    marked: () => true,
  }
}

/**
 * Of all processes of this machine, those in namespaces of their own included; but of ourselves and who
 * started us, whose words are about what is not there yet.
 */
export function commandLines(): CommandLine[] {
  const ours = lineageOf(process.pid)
  return pids()
    .filter((pid) => !ours.has(pid))
    .map((pid) => {
      return { pid, words: (read(`/proc/${pid}/cmdline`) ?? NUL).toString('utf8').split('\0') }
    })
}

function lineageOf(first: number): ReadonlySet<number> {
  const found = new Set<number>()
  for (let pid = first; pid > 0 && !found.has(pid); pid = look(pid)?.parent ?? 0) found.add(pid)
  return found
}

const NUL = Buffer.from([0])

function listProcesses(): Seen[] {
  return pids()
    .map(look)
    .filter((one) => one !== undefined)
}

function pids(): number[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return names.map(Number)
}

/** proc(5), /proc/pid/stat: after the name in brackets come state, ppid, and as the 20th the start. */
function look(pid: number): Seen | undefined {
  const stat = read(`/proc/${pid}/stat`)?.toString('latin1')
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state = '', parent = '0'] = fields
  // It has ended, and is only waiting to be asked how.
  if (state === 'Z' || state === 'X') return undefined
  return { pid, parent: Number(parent), born: fields[19] ?? '' }
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined // gone, or somebody else's
  }
}
