import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { ensurePrivateFolder, type Home } from '../lib/home.ts'
import type { Secret } from '../lib/secret.ts'
import { readConfig } from './config.ts'
import { createLog, rotateLog, writeLogLine } from './log.ts'
import { keepMemoryToOurselves } from './memory.ts'
import type { ALREADY_RUNNING, Served } from './run.ts'
import type { ServeFlags } from './serve/settings.ts'
import { readStarterMessage } from './starter-message.ts'

/** Beside this file, wherever it was built to. */
const RECORDER = new URL('../store/recorder-thread.js', import.meta.url)

/** Started by another command: what it has to say comes on standard input, the log goes to its file. */
async function startedByCommand(): Promise<void> {
  keepMemoryToOurselves()
  const config = readConfig(process.env)
  ensurePrivateFolder(config.home.state)
  dieQuietly(config.home)
  const { passphrase } = await readStarterMessage(process.stdin)
  process.on('SIGHUP', () => {}) // the terminal it was started from may close
  const { runDaemon } = await loadRun(config.home)
  await runDaemon(
    { ...config, passphrase: passphrase ?? config.passphrase },
    { stopSignals: ['SIGTERM', 'SIGINT'], recorder: RECORDER },
  )
  // All is saved and closed. A keychain call that hangs would keep the process for half a minute.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1000).unref()
}

/** Everything heavy, compiled once: the cache lies in a folder that only we can write. */
function loadRun(home: Home) {
  enableCompileCache(join(home.state, 'compile-cache'))
  return import('./run.ts')
}

/**
 * An unforeseen error ends the daemon, without its message, which may quote a secret. The next
 * command starts another, which takes up what this one left.
 */
function dieQuietly(home: Home): void {
  rotateLog(home.logFile)
  const log = createLog(writeLogLine, Date.now)
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log.error('died of an unforeseen error', error)
      process.exit(1)
    })
  }
}

/** `broker daemon run`: in the foreground, for service managers and for looking. */
export async function runInForeground(
  passphrase?: Secret,
): Promise<typeof ALREADY_RUNNING | 'stopped'> {
  keepMemoryToOurselves()
  const config = readConfig(process.env)
  const { runDaemon } = await loadRun(config.home)
  const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  return runDaemon(
    { ...config, passphrase: passphrase ?? config.passphrase },
    { stopSignals, recorder: RECORDER },
  )
}

/**
 * `broker serve`: the daemon of this home, on the network as well. Throws `usage`, `config_invalid` and
 * `conflict` for what keeps it from serving. `onServing` is told once requests are answered.
 */
export async function serveInForeground(
  flags: ServeFlags,
  onServing: (served: Served) => void,
): Promise<typeof ALREADY_RUNNING | 'stopped'> {
  keepMemoryToOurselves()
  const { readSettings } = await import('./serve/settings.ts')
  const settings = readSettings(flags)
  const config = readConfig(process.env)
  const { runDaemon } = await loadRun(config.home)
  const { createServeLog } = await import('./serve/serve-log.ts')
  const { Remote } = await import('./serve/remote.ts')
  const { log, close } = createServeLog(flags.logFormat ?? (process.stderr.isTTY ? 'text' : 'json'))
  const open = () => Remote.open({ settings, limits: flags.limits ?? {}, log })
  try {
    return await runDaemon(config, {
      stopSignals: ['SIGTERM', 'SIGINT'],
      recorder: RECORDER,
      log,
      remote: { open, onServing },
    })
  } finally {
    close()
  }
}

if (import.meta.main) await startedByCommand()
