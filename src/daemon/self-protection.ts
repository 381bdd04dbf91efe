import { readFileSync, statSync } from 'node:fs'
import type { FindingView } from '../api/types.ts'

/** What Linux says of this process. */
export interface SelfFacts {
  readonly uid: number
  /** Who owns `/proc/self/mem`: root, if nobody of our user may look into us (proc(5)). */
  readonly memoryOwner: number
  /** `/proc/sys/kernel/yama/ptrace_scope`; undefined where the kernel has no Yama. */
  readonly ptraceScope: number | undefined
  /** The line of `/proc/self/limits`: soft and hard. */
  readonly coreLimit: string
  /** `/proc/self/coredump_filter`. */
  readonly coreFilter: string
}

/** What keeps the daemon's memory, through which every secret passes, from other programs of its user. */
export function selfProtection(facts: SelfFacts | undefined = selfFacts()): FindingView[] {
  return facts === undefined ? [] : [memory(facts), coreFiles(facts)]
}

function memory({ uid, memoryOwner, ptraceScope }: SelfFacts): FindingView {
  if (uid === 0) {
    return {
      level: 'note',
      message: 'the daemon runs as root: every program of root can read its memory',
      hint: 'run the broker as an ordinary user',
    }
  }
  if (memoryOwner !== uid) return ok('no program of yours can read the memory of the daemon')
  if (ptraceScope !== undefined && ptraceScope > 0) {
    return ok(`ptrace_scope is ${ptraceScope}: other programs of yours cannot read its memory`)
  }
  return {
    level: 'warning',
    message:
      ptraceScope === undefined
        ? 'this kernel has no ptrace_scope: programs of yours can read the memory of the daemon'
        : 'ptrace_scope is 0: programs of yours can read the memory of the daemon',
    hint:
      ptraceScope === undefined
        ? 'let a command start the daemon instead of broker daemon run; from isolation mask on a task does not see it'
        : 'as root: sysctl -w kernel.yama.ptrace_scope=1; from isolation mask on a task does not see the daemon',
  }
}

function coreFiles({ coreLimit, coreFilter }: SelfFacts): FindingView {
  const noFile = /^Max core file size\s+0\s+0\s/m.test(coreLimit)
  const nothingInIt = Number.parseInt(coreFilter, 16) === 0
  if (noFile || nothingInIt) return ok('a crash of the daemon puts no memory into a core file')
  return {
    level: 'warning',
    message: 'a crash of the daemon may put its memory into a core file',
    hint: 'let a command start it, or start it with: ulimit -c 0 (LimitCORE=0 in a systemd unit)',
  }
}

function ok(message: string): FindingView {
  return { level: 'ok', message, hint: null }
}

function selfFacts(): SelfFacts | undefined {
  const uid = process.getuid?.()
  if (process.platform !== 'linux' || uid === undefined) return undefined
  const scope = Number.parseInt(text('/proc/sys/kernel/yama/ptrace_scope'), 10)
  return {
    uid,
    memoryOwner: statSync('/proc/self/mem').uid,
    ptraceScope: Number.isNaN(scope) ? undefined : scope,
    coreLimit: text('/proc/self/limits'),
    coreFilter: text('/proc/self/coredump_filter'),
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
