import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { BrokerError } from '../../errors.ts'
import { ensurePrivateFolder, MAX_SOCKET_PATH, shortFor } from '../../lib/home.ts'

/** Of a lease's id, and of what stands below its folder. */
const ID_LENGTH = 30
const LONGEST_NAME = 'own/task.sock'.length

/** What is held open for a lease shares its folder; the last to let go removes it. */
export interface HeldFolder {
  readonly path: string
  /** `keep`: the folder stays, for the next run of the daemon. May be repeated. */
  release(keep?: boolean): void
}

interface Holding {
  count: number
  keep: boolean
}

/** The folders of the leases that need one: 0700, a name of their own, gone with the lease. */
export class TaskFolders {
  readonly #base: string
  readonly #held = new Map<string, Holding>()

  /** `run` is the broker's runtime folder; where its sockets' paths would be too long, a short one is taken. */
  constructor(run: string, temporary = tmpdir()) {
    const usual = join(run, 'tasks')
    const name = `broker-${process.getuid?.() ?? 'user'}-${shortFor(`tasks of ${run}`)}`
    const short = join(temporary, name, 'tasks')
    this.#base = fits(usual) || !fits(short) ? usual : short
  }

  hold(lease: string): HeldFolder {
    const path = join(this.#base, lease)
    const holding = this.#held.get(lease) ?? { count: 0, keep: false }
    if (holding.count === 0) {
      this.#ensureBase()
      mkdirSync(path, { recursive: true, mode: 0o700 })
      ensurePrivateFolder(path)
    }
    holding.count++
    this.#held.set(lease, holding)
    let held = true
    return {
      path,
      release: (keep = false) => {
        if (!held) return
        held = false
        holding.keep ||= keep
        if (--holding.count > 0) return
        this.#held.delete(lease)
        if (!holding.keep) remove(path)
      },
    }
  }

  /** Removes what an earlier run left, but for the leases that `stays` says go on; returns these. */
  async clear(stays: (lease: string) => Promise<boolean>): Promise<readonly string[]> {
    this.#ensureBase()
    const kept: string[] = []
    for (const lease of readdirSync(this.#base)) {
      if (this.#held.has(lease)) continue
      if (await stays(lease)) kept.push(lease)
      else remove(join(this.#base, lease))
    }
    return kept
  }

  /** Before anything is made or removed there: under the shared temp folder it could be a stranger's. */
  #ensureBase(): void {
    ensurePrivateFolder(dirname(this.#base))
    ensurePrivateFolder(this.#base)
  }
}

/** Where a confined task's proxy listens: in the folder of its lease. */
export function proxySocketIn(folder: string): string {
  return join(folder, 'proxy.sock')
}

/** Throws `isolation_unavailable` for a path that no socket can have. */
export function assertSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return
  throw new BrokerError('isolation_unavailable', `no socket can have a path as long as "${path}"`, {
    hint: `set BROKER_HOME or TMPDIR to a shorter path (sockets have at most ${MAX_SOCKET_PATH} bytes), or use --isolation scrub`,
  })
}

function fits(base: string): boolean {
  return Buffer.byteLength(base) + ID_LENGTH + LONGEST_NAME + 2 <= MAX_SOCKET_PATH
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true })
}
