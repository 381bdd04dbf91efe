import { linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ProxyView } from '../api/types.ts'
import { BrokerError } from '../errors.ts'
import { JAVA, proxyEnvironment, type Trust } from '../launch/proxy-environment.ts'
import { type RecipePlaces, recipePlaces, recipeTexts } from '../launch/recipe/proxied-files.ts'
import { resolveCommand } from '../launch/resolve-command.ts'
import { certificatesIn, javaTrustStore, trustStoreBeside } from '../lib/java-trust-store.ts'
import { taskTrust } from './extra-roots.ts'

export interface ProxiedTask {
  readonly remarks: readonly string[]
  readonly trust: Trust
  /** A folder that variables of the task name, to be read there: it goes with the lease. */
  readonly folder: string
}

export interface ProxiedOptions extends Pick<ProxiedTask, 'trust' | 'folder'> {
  /**
   * Java obeys no variable of the others and says on standard error that it was given options. So it
   * gets them where the task asks (a `JAVA_TOOL_OPTIONS` that is passed, be it empty); `true`: also
   * where there is a Java, because nothing leads out but the proxy.
   */
  readonly java?: boolean
}

/** Both of the below, one after the other. */
export function proxiedTask(
  proxy: ProxyView,
  environment: Readonly<Record<string, string>>,
  cwd: string,
  options: { readonly java?: boolean } = {},
): ProxiedTask & { readonly environment: Record<string, string> } {
  const opened = openProxied(proxy, environment, cwd)
  const all = { ...options, ...opened }
  return { ...opened, environment: proxiedEnvironment(proxy, environment, cwd, all) }
}

/**
 * What has to be there before a task that has a proxy: its roots, and the folder that
 * `proxiedEnvironment` writes to. Throws `internal` if they cannot be made.
 */
export function openProxied(
  proxy: ProxyView,
  environment: Readonly<Record<string, string>>,
  cwd: string,
): ProxiedTask {
  const { trust, remarks } = taskTrust(proxy, environment, cwd)
  const folder = join(dirname(proxy.bundleFile), 'recipe')
  mustDo(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }))
  return { trust, remarks, folder }
}

/**
 * The environment of a task that has a proxy, made of the one it would have without, and the files that it
 * names, in the lease's own folder. Throws `internal` if they cannot be made.
 */
export function proxiedEnvironment(
  proxy: ProxyView,
  environment: Readonly<Record<string, string>>,
  cwd: string,
  { trust, folder, java: wanted = false }: ProxiedOptions,
): Record<string, string> {
  const places = recipePlaces(folder)
  const java = environment[JAVA] !== undefined || (wanted && hasJava(environment, cwd))
  mustDo(folder, () => writeRecipe(places, trust))
  if (java) mustDo(folder, () => writeTrustStore(places.javaTrustStore, trust))
  const files = { ...places, javaTrustStore: java ? places.javaTrustStore : undefined }
  return proxyEnvironment(environment, proxy, trust, files)
}

function mustDo(folder: string, act: () => void): void {
  try {
    act()
  } catch (cause) {
    throw new BrokerError('internal', `the settings of the task in "${folder}" cannot be written`, {
      hint: 'see that there is room and that the folder is yours; then start the task again',
      cause,
    })
  }
}

function writeRecipe(places: RecipePlaces, { bundleFile }: Trust): void {
  for (const [path, text] of recipeTexts(places, bundleFile)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, text, { mode: 0o600 })
  }
}

/** The daemon has made one of the lease's own bundle, in a fifth of the time that it takes here. */
function writeTrustStore(path: string, { bundleFile }: Trust): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    linkSync(trustStoreBeside(bundleFile), path)
  } catch {
    const store = javaTrustStore(certificatesIn(readFileSync(bundleFile, 'latin1')))
    writeFileSync(path, store, { mode: 0o600 })
  }
}

function hasJava(environment: Readonly<Record<string, string>>, cwd: string): boolean {
  if (environment['JAVA_HOME']) return true
  return resolveCommand('java', environment, cwd).found === 'executable'
}
