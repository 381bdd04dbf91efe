import { readFileSync } from 'node:fs'
import { BrokerError } from '../errors.ts'
import { writeFileAtomic } from '../lib/atomic-write.ts'
import type { Secret } from '../lib/secret.ts'
import { newIdentity, sealBy, unsealBy } from './age.ts'
import { locked, onDisk, unusable } from './failure.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'
import { isThere } from './presence.ts'
import type { FileRecord } from './record.ts'

export interface SealOptions {
  /** The identity, sealed by a passphrase. While this file exists nothing else opens the vault. */
  readonly sealedKey: string
  /** The identity in the clear. */
  readonly keyFile: string
  readonly passphrase: Secret | null
}

/**
 * The one identity the file vault is encrypted to, and where it rests: in a key file, or itself
 * sealed by a passphrase. So the slow part, scrypt, runs once per daemon and not once per write.
 */
export class Seal {
  readonly #sealedKey: string
  readonly #keyFile: string
  #passphrase: Secret | null
  #refused = false

  constructor(options: SealOptions) {
    this.#sealedKey = options.sealedKey
    this.#keyFile = options.keyFile
    this.#passphrase = options.passphrase
  }

  present(): boolean {
    return isThere(this.#sealedKey) || isThere(this.#keyFile)
  }

  /** What seals it now; before there is anything, what will. */
  sealedBy(): 'passphrase' | 'key-file' {
    if (isThere(this.#sealedKey)) return 'passphrase'
    if (isThere(this.#keyFile)) return 'key-file'
    return this.#passphrase ? 'passphrase' : 'key-file'
  }

  record(): FileRecord {
    return isThere(this.#sealedKey)
      ? { kind: 'file', sealedBy: 'passphrase', keyFile: null }
      : { kind: 'file', sealedBy: 'key-file', keyFile: this.#keyFile }
  }

  /** True while only a person can open it. */
  needsPassphrase(): boolean {
    return isThere(this.#sealedKey) && this.#passphrase === null
  }

  /** True when a passphrase waits to take the place of a key file. */
  wantsPassphrase(): boolean {
    return this.#passphrase !== null && !isThere(this.#sealedKey)
  }

  /** The key file a passphrase took the place of, if it is still there. */
  oldKeyFile(): string | null {
    return isThere(this.#sealedKey) && isThere(this.#keyFile) ? this.#keyFile : null
  }

  offer(passphrase: Secret): void {
    this.#passphrase = passphrase
    this.#refused = false
  }

  /** From now on the identity in memory is enough. */
  forget(): void {
    this.#passphrase = null
  }

  /** Makes a new identity and puts it where it will rest. */
  async make(): Promise<Secret> {
    const identity = await newIdentity()
    if (this.#passphrase) await this.#writeSealed(this.#passphrase, identity)
    else writeKeyFile(this.#keyFile, identity)
    return identity
  }

  /** Throws `vault_locked`, `denied` for a wrong passphrase, `vault_unavailable` for a bad file. */
  async open(): Promise<Secret> {
    if (!isThere(this.#sealedKey)) return readKeyFile(this.#keyFile)
    if (!this.#passphrase) {
      // After a wrong one it is locked, not denied at every call: a person may still open it.
      if (this.#refused) {
        throw locked(
          'the vault is sealed, and the passphrase the daemon was given does not open it',
          'set the right BROKER_VAULT_PASSPHRASE, or run a command in a terminal to be asked',
        )
      }
      throw locked(
        'the vault is sealed by a passphrase',
        'set BROKER_VAULT_PASSPHRASE and restart the daemon: broker daemon stop',
      )
    }
    const identity = await this.#unseal(this.#passphrase)
    if (identity) return identity
    this.#passphrase = null
    this.#refused = true
    throw wrongPassphrase()
  }

  /** Throws `denied` if this passphrase is not the one. */
  async check(passphrase: Secret): Promise<void> {
    if (!(await this.#unseal(passphrase))) throw wrongPassphrase()
  }

  /** The error for a vault whose key is gone. */
  missing(sealedBy: 'passphrase' | 'key-file' | null): BrokerError {
    const path = sealedBy === 'passphrase' ? this.#sealedKey : this.#keyFile
    return unusable(
      path,
      'is missing, and the vault cannot be opened without it',
      'put it back, or point BROKER_VAULT_KEY_FILE at the key the vault was made with',
    )
  }

  async #unseal(passphrase: Secret): Promise<Secret | null> {
    let sealed: Uint8Array
    try {
      sealed = readFileSync(this.#sealedKey)
    } catch (error) {
      throw onDisk(this.#sealedKey, error)
    }
    try {
      return await unsealBy(passphrase, sealed)
    } catch (error) {
      throw unusable(this.#sealedKey, 'is damaged', 'restore it from a backup', error)
    }
  }

  async #writeSealed(passphrase: Secret, identity: Secret): Promise<void> {
    const sealed = await sealBy(passphrase, identity)
    try {
      writeFileAtomic(this.#sealedKey, sealed)
    } catch (error) {
      throw onDisk(this.#sealedKey, error)
    }
  }
}

function wrongPassphrase(): BrokerError {
  return new BrokerError('denied', 'the passphrase does not open the vault', {
    hint: 'give the passphrase the vault was made with; there is no other way in',
  })
}
