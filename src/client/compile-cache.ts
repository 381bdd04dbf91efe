import { join } from 'node:path'
import { ensurePrivateFolder, resolveHome } from '../lib/home.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where compiled code is kept between runs, or `undefined` to do without. Never the default in the
 * shared temp folder: whoever can write there could plant code for us to run. Inside a task there is
 * none, so that a task cannot prepare one for the person.
 */
export function compileCacheFolder(env: Environment): string | undefined {
  if (env['BROKER_HANDLE'] || env['BROKER_SOCKET']) return undefined
  try {
    const folder = join(resolveHome(env).state, 'compile-cache')
    ensurePrivateFolder(folder)
    return folder
  } catch {
    return undefined
  }
}
