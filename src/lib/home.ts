import { chmodSync, lstatSync, mkdirSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'

/** Where one broker keeps its things (contract §1). All paths absolute. */
export interface Home {
  /** What the user would recognise: BROKER_HOME, or the configuration folder. */
  readonly root: string
  readonly config: string
  readonly state: string
  readonly run: string
  readonly socket: string
  readonly operatorKey: string
  readonly pidFile: string
  readonly lockFile: string
  readonly logFile: string
  readonly database: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** A socket path longer than this is refused by the kernel (sun_path: 108 on Linux, 104 on macOS). */
export const MAX_SOCKET_PATH = 100

/** Computes the folders from the environment; touches nothing. */
export function resolveHome(env: Environment, platform: NodeJS.Platform = process.platform): Home {
  const folders = baseFolders(env, platform)
  return {
    ...folders,
    socket: socketPath(folders.run, platform),
    operatorKey: join(folders.config, 'operator.key'),
    pidFile: join(folders.run, 'daemon.pid'),
    lockFile: join(folders.state, 'daemon.lock'),
    logFile: join(folders.state, 'daemon.log'),
    database: join(folders.state, 'broker.sqlite'),
  }
}

function baseFolders(env: Environment, platform: NodeJS.Platform) {
  if (env['BROKER_HOME']) {
    const own = resolve(env['BROKER_HOME'])
    return {
      root: own,
      config: join(own, 'config'),
      state: join(own, 'state'),
      run: join(own, 'run'),
    }
  }
  const home = env['HOME'] || homedir()
  if (platform === 'darwin') {
    const support = join(home, 'Library', 'Application Support', 'broker')
    const state = join(support, 'state')
    return { root: support, config: join(support, 'config'), state, run: join(state, 'run') }
  }
  if (platform === 'win32') {
    const local = join(env['LOCALAPPDATA'] || join(home, 'AppData', 'Local'), 'broker')
    return {
      root: local,
      config: join(local, 'config'),
      state: join(local, 'state'),
      run: join(local, 'run'),
    }
  }
  const config = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'broker')
  const state = join(env['XDG_STATE_HOME'] || join(home, '.local', 'state'), 'broker')
  const runtime = env['XDG_RUNTIME_DIR']
  return {
    root: config,
    config,
    state,
    run: runtime ? join(runtime, 'broker') : join(state, 'run'),
  }
}

function socketPath(run: string, platform: NodeJS.Platform): string {
  if (platform === 'win32') return `\\\\.\\pipe\\broker-${shortFor(run)}`
  const usual = join(run, 'broker.sock')
  if (Buffer.byteLength(usual) <= MAX_SOCKET_PATH) return usual
  return join(tmpdir(), `broker-${userInfo().uid}-${shortFor(run)}`, 'broker.sock')
}

/** A name that stands for a path where the path itself would be too long. */
export function shortFor(path: string): string {
  // Loaded when it is needed, which is nearly never: this file is on the way of every `exec`.
  const { createHash } = process.getBuiltinModule('node:crypto')
  return createHash('sha256').update(path).digest('hex').slice(0, 16)
}

/**
 * Makes a folder that only its owner can enter, parents included. One that exists is narrowed to
 * 0700 if it is ours, and refused if it is a link or someone else's: under the shared temp folder a
 * stranger could have made it first.
 */
export function ensurePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  if (process.platform === 'win32') return
  const found = lstatSync(path)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Error(`"${path}" must be a folder that belongs to you`)
  }
  if ((found.mode & 0o077) !== 0) chmodSync(path, 0o700)
}
