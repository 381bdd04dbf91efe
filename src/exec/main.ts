import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Caller, callerOf } from '../client/caller.ts'
import { resolveHome } from '../lib/home.ts'
import { refused } from './failure.ts'
import { asksForHelp, parseExec } from './parse.ts'
import { sayError } from './say.ts'
import { runTask } from './task.ts'

export { compileCacheFolder } from '../client/compile-cache.ts'

/**
 * `broker exec`, from its arguments to the end of the process. This is the hot path: it is bundled
 * alone, as CommonJS, and loads nothing that it does not need for nearly every run.
 */
export async function main(argv: readonly string[]): Promise<void> {
  if (asksForHelp(argv)) return showHelp()
  // Ends the process itself: sockets and timers that are still open have nothing left to do.
  process.exit(await statusOf(argv))
}

async function statusOf(argv: readonly string[]): Promise<number> {
  try {
    const options = parseExec(argv)
    const env = { ...process.env }
    const home = resolveHome(env)
    const around = { env, home, distFolder: __dirname, cwd: process.cwd() }
    const server = options.server ?? serverOfJob(env)
    if (server !== undefined) {
      const { remoteAt } = await import('./remote.ts')
      const remote = await remoteAt(server, options, around)
      const { command } = remote.options
      if (command === undefined) throw new TypeError('a dry run that was not refused')
      return await runTask(remote.options, command, { ...around, caller: NOBODY, remote })
    }
    const place = { ...around, caller: callerOf(home, env) }
    if (options.dryRun || options.command === undefined) {
      const { dryRun } = await import('./rare.ts')
      return await dryRun(options, place)
    }
    return await runTask(options, options.command, place)
  } catch (error) {
    const { error: told, status } = refused(error)
    sayError(told)
    return status
  }
}

/** Of a task of a CI job: its lease is of a server, and only there it can ask for more. */
function serverOfJob(env: NodeJS.ProcessEnv): string | undefined {
  return env['BROKER_HANDLE'] && !env['BROKER_SOCKET'] ? env['BROKER_SERVER'] : undefined
}

/** No daemon of this machine has anything to do with a lease of a server. */
const NOBODY: Caller = {
  socket: '',
  inTask: true,
  bearer: () => {
    throw new TypeError('nobody is to be called here')
  },
}

/** The rest of the CLI writes help; it reads `process.argv` itself. */
async function showHelp(): Promise<void> {
  const cli = await import(pathToFileURL(join(__dirname, 'cli', 'main.js')).href)
  await cli.main(pathToFileURL(join(__dirname, '..', 'bin', 'run.js')).href)
}
