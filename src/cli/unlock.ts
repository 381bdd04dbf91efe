import type { RouteName } from '../api/routes.ts'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import { askSecret, canAsk } from './prompts.ts'
import { whileWaiting } from './spinner.ts'

interface Asker {
  request<T>(route: RouteName, options: { readonly body: unknown }): Promise<T>
}

/**
 * Opens the daemon's vault: with BROKER_VAULT_PASSPHRASE, or by asking. A task is never asked: what
 * it starts could watch the person type. Rethrows `locked` where there is nobody to ask.
 */
export async function unlocked(
  client: Asker,
  locked: BrokerError,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const passphrase = await passphraseFor(locked, env)
  await whileWaiting('opening the vault', () =>
    client.request('unlockVault', { body: { passphrase: passphrase.reveal() } }),
  )
}

async function passphraseFor(
  locked: BrokerError,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Secret> {
  if (env['BROKER_HANDLE']) throw locked
  // The daemon may have been started by somebody who did not have it set.
  if (env['BROKER_VAULT_PASSPHRASE']) return new Secret(env['BROKER_VAULT_PASSPHRASE'])
  if (canAsk()) return askSecret('passphrase of the vault:')
  throw new BrokerError('vault_locked', locked.message, {
    hint: 'set BROKER_VAULT_PASSPHRASE, or run the command in a terminal to be asked',
    details: locked.details,
    cause: locked,
  })
}
