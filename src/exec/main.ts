import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { callerOf } from '../client/caller.ts'
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
    const place = {
      env,
      home,
      caller: callerOf(home, env),
      distFolder: __dirname,
      cwd: process.cwd(),
    }
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

/** The rest of the CLI writes help; it reads `process.argv` itself. */
async function showHelp(): Promise<void> {
  const cli = await import(pathToFileURL(join(__dirname, 'cli', 'main.js')).href)
  await cli.main(pathToFileURL(join(__dirname, '..', 'bin', 'run.js')).href)
}
