import { readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { writeFileAtomic } from '../../lib/atomic-write.ts'
import type { IsolatedLevel } from './level.ts'

/** Which levels a probe has shown to work on this machine, so that not every start pays for one. */
export interface Verdicts {
  works(level: IsolatedLevel): boolean
  /** Never throws: what cannot be kept is found out again. */
  remember(level: IsolatedLevel): void
  forget(): void
}

export interface VerdictFacts {
  /** Absolute. */
  readonly bubblewrap: string
  readonly version: string
  readonly uid: number
}

/** Each decides whether a program without rights may have a user namespace. */
const SETTINGS = [
  'kernel/apparmor_restrict_unprivileged_userns',
  'kernel/unprivileged_userns_clone',
  'user/max_user_namespaces',
]

/**
 * Kept in `file`, which belongs to the person alone; `undefined` keeps nothing. Only what worked is
 * kept: who has mended their machine must not be told the old verdict. All that could turn a yes into
 * a no stands in the key, and a start that fails all the same forgets it.
 */
export function verdictsIn(file: string | undefined, facts: VerdictFacts): Verdicts {
  const machine = machineKey(facts)
  const kept = (): Readonly<Record<string, unknown>> => (file === undefined ? {} : recordIn(file))
  return {
    works: (level) => machine !== undefined && kept()[level] === machine,
    remember: (level) => {
      if (file === undefined || machine === undefined) return
      try {
        writeFileAtomic(file, `${JSON.stringify({ ...kept(), [level]: machine })}\n`)
      } catch {
        // The folder may not be there yet.
      }
    },
    forget: () => {
      if (file !== undefined) rmSync(file, { force: true })
    },
  }
}

function machineKey({ bubblewrap, version, uid }: VerdictFacts): string | undefined {
  try {
    const path = realpathSync.native(bubblewrap)
    const { size, mtimeMs } = statSync(path)
    const settings = SETTINGS.map(settingOf)
    return [version, uid, path, size, mtimeMs, release(), ...settings].join(' ')
  } catch {
    return undefined
  }
}

function settingOf(name: string): string {
  try {
    return readFileSync(`/proc/sys/${name}`, 'latin1').trim()
  } catch {
    return '-'
  }
}

function recordIn(file: string): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof found === 'object' && found !== null ? { ...found } : {}
  } catch {
    return {}
  }
}
