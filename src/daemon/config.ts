import { type Home, resolveHome } from '../lib/home.ts'
import { Secret } from '../lib/secret.ts'

/** What the environment says; the only place in the daemon that reads it. */
export interface Config {
  readonly home: Home
  readonly vaultKind: 'keychain' | 'file' | undefined
  readonly vaultKeyFile: string | undefined
  readonly passphrase: Secret | undefined
}

export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const kind = environment['BROKER_VAULT']
  if (kind !== undefined && kind !== '' && kind !== 'keychain' && kind !== 'file') {
    throw new Error(`BROKER_VAULT must be "keychain" or "file"`)
  }
  const passphrase = environment['BROKER_VAULT_PASSPHRASE']
  // Not for any process started from here, nor for a later look at this one's variables.
  delete environment['BROKER_VAULT_PASSPHRASE']
  return {
    home: resolveHome(environment),
    vaultKind: kind === 'keychain' || kind === 'file' ? kind : undefined,
    vaultKeyFile: environment['BROKER_VAULT_KEY_FILE'] || undefined,
    passphrase: passphrase ? new Secret(passphrase) : undefined,
  }
}
