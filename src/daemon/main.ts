import type { Home } from '../lib/home.ts'
import type { Secret } from '../lib/secret.ts'
import { readConfig } from './config.ts'
import { createLog, rotateLog } from './log.ts'
import { type ALREADY_RUNNING, runDaemon } from './run.ts'
import { readStarterMessage } from './starter-message.ts'

/** Started by another command: what it has to say comes on standard input, the log goes to its file. */
async function startedByCommand(): Promise<void> {
  const config = readConfig(process.env)
  const { passphrase } = await readStarterMessage(process.stdin)
  dieQuietly(config.home)
  process.on('SIGHUP', () => {}) // the terminal it was started from may close
  await runDaemon({ ...config, passphrase: passphrase ?? config.passphrase })
}

/** An unforeseen error ends the daemon, without its message, which may quote a secret. The next command starts another. */
function dieQuietly(home: Home): void {
  rotateLog(home.logFile)
  const log = createLog((line) => process.stderr.write(line), Date.now)
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
  const config = readConfig(process.env)
  return runDaemon({ ...config, passphrase: passphrase ?? config.passphrase })
}

if (import.meta.main) await startedByCommand()
