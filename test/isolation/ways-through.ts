// How a hostile program is brought inside: by `broker exec` of the built product, with its own daemon. With
// ISOLATION_THROUGH=walls by the walls alone, without a product around them.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BIN, isAlive } from '../fixtures/broker.ts'
import type { Person } from './available.ts'
import { AS_NOBODY, commandFor, environmentOf, NODE, type Run } from './run.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

export interface Through {
  /** Besides the canary: what tells that the broker's own was read. */
  readonly signs: readonly string[]
  /** For the hostile program. */
  readonly env: Readonly<Record<string, string>>
  /** From a shell that has a key among its variables. */
  start(run: Run): ChildProcess
  end(): Promise<void>
}

export async function openThrough(world: World, person: Person): Promise<Through> {
  const env = {
    ...environmentOf(world),
    PARENT_KEY: world.canary,
    BROKER_HOME: join(world.folder, 'broker'),
    BROKER_VAULT: 'file',
  }
  const begin = ([program, ...args]: readonly [string, ...string[]]) =>
    spawn(program, args, { cwd: world.project, env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (process.env['ISOLATION_THROUGH'] === 'walls') {
    return {
      signs: [],
      env: {},
      start: (run) => begin(commandFor(world, { ...run, facts: { names: [] } })),
      end: async () => {},
    }
  }
  const as = person === 'nobody' ? AS_NOBODY : []
  const broker = [NODE, BIN, 'exec', '--env', 'staging', '--quiet', '--isolation']
  const first = ['-c', 'exec 200<"$0"; exec "$@"', world.home, ...as, ...broker]
  // The first lease makes all that there is to find.
  execFileSync('bash', [...first, 'scrub', '--', 'true'], { cwd: world.project, env })
  const read = (path: string) => readFileSync(join(world.folder, 'broker', path), 'latin1').trim()
  const daemon = Number(read('run/daemon.pid'))
  plantLease(world, person)
  return {
    signs: [read('config/operator.key'), 'SQLite format 3', 'age-encryption.org', 'HTTP/1.1 '],
    env: { DAEMON: String(daemon) },
    start: ({ level, path, args }) => begin(['bash', ...first, level, '--', path, ...args]),
    end: async () => {
      if (isAlive(daemon)) process.kill(daemon, 'SIGKILL')
      await until('the daemon is gone', () => !isAlive(daemon))
    },
  }
}

/** What another lease would have there. */
function plantLease(world: World, person: Person): void {
  const inside = join(world.lease, 'inside')
  if (!existsSync(inside)) mkdirSync(inside, { recursive: true })
  writeFileSync(join(inside, 'empty'), '')
  writeFileSync(join(world.lease, 'bundle.pem'), '')
  if (person === 'nobody') execFileSync('chown', ['-R', '65534:65534', world.lease])
}
