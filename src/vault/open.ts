import { BrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'
import type { Secret } from '../lib/secret.ts'
import { FileVault, vaultPath } from './file.ts'
import { KeychainVault } from './keychain.ts'
import type { Keytar } from './keytar.ts'
import { isThere } from './presence.ts'
import { readRecord, recordPath } from './record.ts'
import type { Vault, VaultKind, VaultStatus } from './vault.ts'

export interface OpenVaultOptions {
  readonly home: Pick<Home, 'state'>
  /** BROKER_VAULT: this kind or an error. */
  readonly kind?: VaultKind | undefined
  /** BROKER_VAULT_PASSPHRASE. Only the file vault uses it. */
  readonly passphrase?: Secret | undefined
  /** BROKER_VAULT_KEY_FILE, absolute. Only the file vault uses it. */
  readonly keyFile?: string | undefined
  /** How long the keychain may take for one call. Milliseconds. */
  readonly keychainDeadlineMs?: number | undefined
  readonly loadKeytar?: (() => Promise<Keytar>) | undefined
}

/**
 * The vault of a home: the kind asked for, else the kind that was set up, else the keychain if it
 * answers, else a file. Does nothing until the vault is first used, and what was set up once never
 * changes by itself. Throws, at that first use, `config_invalid` when another kind is asked for than
 * the home has, and what the kinds throw.
 */
export async function openVault(options: OpenVaultOptions): Promise<Vault> {
  return new ChosenVault({ ...options })
}

class ChosenVault implements Vault {
  readonly #options: OpenVaultOptions
  #choice: Promise<Vault> | null = null

  constructor(options: OpenVaultOptions) {
    this.#options = options
  }

  async status(): Promise<VaultStatus> {
    return (await this.#chosen()).status()
  }

  async get(name: string): Promise<Secret | null> {
    return (await this.#chosen()).get(name)
  }

  async set(name: string, secret: Secret): Promise<void> {
    return (await this.#chosen()).set(name, secret)
  }

  async delete(name: string): Promise<boolean> {
    return (await this.#chosen()).delete(name)
  }

  async unlock(passphrase: Secret): Promise<void> {
    return (await this.#chosen()).unlock(passphrase)
  }

  #chosen(): Promise<Vault> {
    this.#choice ??= choose(this.#options).catch((error: unknown) => {
      this.#choice = null
      throw error
    })
    return this.#choice
  }
}

async function choose(options: OpenVaultOptions): Promise<Vault> {
  const folder = options.home.state
  const keychain = new KeychainVault({
    folder,
    deadlineMs: options.keychainDeadlineMs,
    load: options.loadKeytar,
  })
  const present = setUpKind(folder)
  if (options.kind && present && options.kind !== present) throw otherKind(options.kind, present)
  const kind = options.kind ?? present ?? ((await keychain.answers()) ? 'keychain' : 'file')
  if (kind === 'keychain') return keychain
  return new FileVault({ folder, passphrase: options.passphrase, keyFile: options.keyFile })
}

function setUpKind(folder: string): VaultKind | null {
  // A file without a record: the crash came between the two, or the record was lost.
  return readRecord(recordPath(folder))?.kind ?? (isThere(vaultPath(folder)) ? 'file' : null)
}

function otherKind(wanted: VaultKind, present: VaultKind): BrokerError {
  return new BrokerError(
    'config_invalid',
    `BROKER_VAULT asks for "${wanted}", but this home keeps its secrets in "${present}"`,
    { hint: 'unset BROKER_VAULT; to change, start a new home and connect again' },
  )
}
