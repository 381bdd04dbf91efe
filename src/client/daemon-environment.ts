import { resolve } from 'node:path'
import type { Home } from '../lib/home.ts'
import type { Environment } from './caller.ts'

/** What the daemon needs to find its folders, its keychain and its language, and nothing that opens a door elsewhere. */
const NEEDED = new Set([
  'HOME',
  'PATH',
  'USER',
  'LOGNAME',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'BROKER_VAULT',
  // Honoured by test builds only.
  'BROKER_FAULT',
  // Windows
  'SYSTEMROOT',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
  'TEMP',
  'TMP',
  'PATHEXT',
])

/** Paths, made absolute: the daemon does not run in the caller's folder. */
const FILES = ['BROKER_VAULT_KEY_FILE', 'NODE_EXTRA_CA_CERTS']

/**
 * The daemon lives longer than the shell that happened to start it, so it gets an allow-list and
 * not that shell's variables: a key exported there must not stay readable in /proc for weeks. The
 * vault's passphrase goes over its standard input instead.
 */
export function daemonEnvironment(
  env: Environment,
  home: Home,
  cwd: string,
): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue
    const upper = name.toUpperCase()
    if (NEEDED.has(upper) || upper.startsWith('LC_') || upper.startsWith('XDG_')) {
      result[name] = value
    }
  }
  for (const name of FILES) {
    if (env[name]) result[name] = resolve(cwd, env[name])
  }
  if (env['BROKER_HOME']) result['BROKER_HOME'] = home.root
  return result
}
