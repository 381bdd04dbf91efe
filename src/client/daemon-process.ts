import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, fchmodSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROUTES } from '../api/routes.ts'
import type { Health } from '../api/types.ts'
import { BrokerError } from '../errors.ts'
import { ensurePrivateFolder, type Home } from '../lib/home.ts'
import { callerOf, type Environment } from './caller.ts'
import { compileCacheFolder } from './compile-cache.ts'
import { daemonEnvironment } from './daemon-environment.ts'
import { DAEMON_FLAGS } from './daemon-flags.ts'
import { exchange, isAway, isCutOff } from './exchange.ts'
import { monotonic } from './monotonic.ts'
import { sealedLoader } from './sealed-loader.ts'
import { isOlder, VERSION } from './version.ts'

export interface EnsureOptions {
  /** The folder of the bundles: `daemon/main.js` lies in it. */
  readonly distFolder: string
  /** How long to try, in milliseconds. */
  readonly deadlineMs?: number
}

const DEADLINE_MS = 10_000
const PROBE_MS = 2000
const POLL_MS = 5
/** After a daemon of ours made way for another that then never answered. */
const RESPAWN_MS = 400
const SHELL = '/bin/sh'

/**
 * Returns once a daemon of this version or a newer one serves this home; starts it, or replaces an
 * older one (leases live in its database and survive that). Safe to call from many processes at
 * once: the daemon's own lock decides, the rest just connect. Throws `daemon_unreachable`.
 */
export async function ensureDaemon(
  home: Home,
  env: Environment,
  options: EnsureOptions,
): Promise<Health> {
  const deadline = monotonic() + (options.deadlineMs ?? DEADLINE_MS)
  let found: Health | 'away' | 'silent' = isListening(home) ? await probe(home) : 'away'
  for (;;) {
    const serves = typeof found === 'object' && found.status === 'ok' ? found : undefined
    const health = serves ?? (await start(home, env, options.distFolder, deadline))
    if (!isOlder(health.version, VERSION)) return health
    // An older command may be quicker and start its own again, so this may take more than one turn.
    await retire(home, env, health.pid, deadline)
    found = 'away'
  }
}

/** The daemon's own word, `away` if nobody listens, `silent` if somebody does and says nothing. */
export async function probe(home: Home, timeoutMs = PROBE_MS): Promise<Health | 'away' | 'silent'> {
  try {
    const { method, path } = ROUTES.health
    const answer = await exchange({ socket: home.socket, method, path, timeoutMs })
    const health = answer.body as Partial<Health> | undefined
    return typeof health?.version === 'string' && typeof health.pid === 'number'
      ? (health as Health)
      : 'silent'
  } catch (error) {
    return isAway(error) ? 'away' : 'silent'
  }
}

/** Asks a daemon to stop and waits until that very process no longer serves. */
async function retire(home: Home, env: Environment, pid: number, deadline: number): Promise<void> {
  const { method, path } = ROUTES.daemonStop
  const { socket, bearer } = callerOf(home, env)
  try {
    const answer = await exchange({ socket, method, path, bearer: bearer(), timeoutMs: PROBE_MS })
    if (answer.status >= 400) throw unreachable(home, 'an older daemon refuses to stop')
  } catch (error) {
    // One that is stopping already, asked by us or by another, may take its answer along.
    if (!isAway(error) && !isCutOff(error)) throw error
  }
  while (monotonic() < deadline) {
    const found = await probe(home)
    if (found === 'away' || (typeof found === 'object' && found.pid !== pid)) return
    await sleep(POLL_MS)
  }
  throw unreachable(home, 'an older daemon does not stop')
}

async function start(
  home: Home,
  env: Environment,
  distFolder: string,
  deadline: number,
): Promise<Health> {
  let spawned: SpawnedDaemon | undefined
  let pause = RESPAWN_MS
  for (;;) {
    // Looking is cheaper than asking, for us and for the daemon that is starting beside us.
    const found = isListening(home) ? await probe(home) : 'away'
    if (typeof found === 'object' && found.status === 'ok') return found
    if (spawned?.exit !== undefined && spawned.exit.code !== 0) {
      if (!spawned.sealed) throw unreachable(home, 'the daemon could not start')
      // It may be the way it was started: nothing that only protects may keep it from serving.
      spawned = spawnDaemon(home, env, distFolder, 'plain')
    }
    if (monotonic() > deadline) {
      throw unreachable(
        home,
        found === 'silent' ? 'the daemon does not answer' : 'the daemon did not start',
      )
    }
    // One that made way ended with 0. Should the other then have died, it is our turn again.
    const madeWay = spawned?.exit !== undefined && monotonic() - spawned.exit.at > pause
    if (found === 'away' && (spawned === undefined || madeWay)) {
      if (madeWay) pause *= 2
      spawned = spawnDaemon(home, env, distFolder)
    }
    await sleep(POLL_MS)
  }
}

function isListening(home: Home): boolean {
  return process.platform === 'win32' || existsSync(home.socket)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The daemon is a large program: compiled code from its last run saves a good part of its start. */
function compileCache(env: Environment): Record<string, string> {
  const folder = compileCacheFolder(env)
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder }
}

interface SpawnedDaemon {
  /** Started by a loader that cannot be read. */
  readonly sealed: boolean
  exit: { readonly code: number; readonly at: number } | undefined
}

/** The folders and the log, which have to be there before a daemon can say what it lacks. */
function openLog(home: Home): number {
  try {
    for (const folder of [home.config, home.state, home.run, dirname(home.socket)]) {
      if (folder !== '' && !folder.startsWith('\\\\.\\')) ensurePrivateFolder(folder)
    }
    return openSync(home.logFile, 'a', 0o600)
  } catch (error) {
    const message = `the folders in "${home.root}" cannot be used`
    const hint =
      'they must be folders of yours that can be written; BROKER_HOME names another place'
    throw new BrokerError('daemon_unreachable', message, { hint, cause: error })
  }
}

function spawnDaemon(
  home: Home,
  env: Environment,
  distFolder: string,
  how: 'sealed' | 'plain' = 'sealed',
): SpawnedDaemon {
  const log = openLog(home)
  try {
    fchmodSync(log, 0o600)
    const { spawn } = process.getBuiltinModule('node:child_process') // most callers never get here
    const program = [process.execPath, ...DAEMON_FLAGS, join(distFolder, 'daemon', 'main.js')]
    const loader = how === 'sealed' ? sealedLoader(home.state) : undefined
    const [command, ...args] = withoutCoreFiles(
      loader === undefined ? program : [loader, ...program],
    )
    const child = spawn(command, args, {
      cwd: home.state,
      detached: true,
      env: { ...daemonEnvironment(env, home, process.cwd()), ...compileCache(env) },
      stdio: ['pipe', log, log],
      windowsHide: true,
    })
    const spawned = watch(child, loader !== undefined)
    hand(child, env['BROKER_VAULT_PASSPHRASE'])
    child.unref()
    return spawned
  } finally {
    closeSync(log)
  }
}

/** Only a shell can set the limit on core files (`ulimit`, POSIX); where there is none, it stays as it is. */
function withoutCoreFiles(program: readonly string[]): readonly [string, ...string[]] {
  const [first = '', ...rest] = program
  if (process.platform === 'win32' || !existsSync(SHELL)) return [first, ...rest]
  return [SHELL, '-c', 'ulimit -c 0; exec "$0" "$@"', first, ...rest]
}

function watch(child: ChildProcess, sealed: boolean): SpawnedDaemon {
  const spawned: SpawnedDaemon = { sealed, exit: undefined }
  const ended = (code: number) => {
    spawned.exit = { code, at: monotonic() }
  }
  child.once('exit', (code) => ended(code ?? 1))
  child.once('error', () => ended(1))
  return spawned
}

/** The first and only line on the daemon's standard input: what must not stand in its environment. */
function hand(child: ChildProcess, passphrase: string | undefined): void {
  child.stdin?.on('error', () => {}) // it made way before it read
  child.stdin?.end(`${JSON.stringify(passphrase ? { passphrase } : {})}\n`)
}

function unreachable(home: Home, message: string): BrokerError {
  return new BrokerError('daemon_unreachable', message, {
    hint: `see the last lines of "${home.logFile}"`,
  })
}
