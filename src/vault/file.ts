import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { BrokerError } from '../errors.ts'
import { ensurePrivateFolder } from '../lib/home.ts'
import type { Secret } from '../lib/secret.ts'
import type { Entries } from './entries.ts'
import { onDisk, unusable } from './failure.ts'
import { InOrder } from './in-order.ts'
import { readKeyFile } from './key-file.ts'
import { checkText } from './names.ts'
import { readRecord, recordPath, type VaultRecord, writeRecord } from './record.ts'
import { Seal } from './seal.ts'
import { SealedFile } from './sealed-file.ts'
import type { Vault, VaultStatus } from './vault.ts'

export interface FileVaultOptions {
  /** The state folder: everything but a key file of the user's own lies in it. */
  readonly folder: string
  /** Seals a new vault, opens one it sealed, and takes the place of a key file. */
  readonly passphrase?: Secret | undefined
  /** A key file of the user's own (BROKER_VAULT_KEY_FILE); made if there is no vault yet. */
  readonly keyFile?: string | undefined
}

interface Opened {
  readonly identity: Secret
  readonly entries: Entries
}

/** Where the file vault of a state folder is. */
export function vaultPath(folder: string): string {
  return join(folder, 'vault.age')
}

/**
 * An age-encrypted file. Constructing it touches nothing; the first call opens or makes it, and from
 * then on it is read from memory and written through. One process at a time: the daemon's lock sees
 * to that.
 */
export class FileVault implements Vault {
  readonly #folder: string
  readonly #ownKey: string
  readonly #keyFile: string | undefined
  readonly #file: SealedFile
  readonly #turns = new InOrder()
  #passphrase: Secret | null
  #seal: Seal | null = null
  #opened: Opened | null = null

  constructor(options: FileVaultOptions) {
    this.#folder = options.folder
    this.#ownKey = join(options.folder, 'vault.key')
    this.#keyFile = options.keyFile
    this.#passphrase = options.passphrase ?? null
    this.#file = new SealedFile(vaultPath(options.folder))
  }

  async status(): Promise<VaultStatus> {
    const seal = this.#sealed()
    return {
      kind: 'file',
      where: this.#file.path,
      sealedBy: seal.sealedBy(),
      locked: this.#opened === null && seal.needsPassphrase(),
    }
  }

  async get(name: string): Promise<Secret | null> {
    const { entries } = this.#opened ?? (await this.#turns.run(() => this.#open()))
    return entries.get(name) ?? null
  }

  async set(name: string, secret: Secret): Promise<void> {
    checkText(name, secret)
    await this.#turns.run(async () => {
      const { identity, entries } = await this.#open()
      await this.#save(identity, new Map(entries).set(name, secret))
    })
  }

  async delete(name: string): Promise<boolean> {
    return this.#turns.run(async () => {
      const { identity, entries } = await this.#open()
      const rest = new Map(entries)
      if (!rest.delete(name)) return false
      await this.#save(identity, rest)
      return true
    })
  }

  /** Never replaces a key file: a typing error at a prompt must not become the seal. */
  async unlock(passphrase: Secret): Promise<void> {
    refuseEmpty(passphrase)
    await this.#turns.run(async () => {
      const seal = this.#sealed()
      if (seal.present() && seal.sealedBy() === 'key-file') throw needsNone()
      if (this.#opened) return seal.check(passphrase)
      seal.offer(passphrase)
      await this.#open()
    })
  }

  async #open(): Promise<Opened> {
    if (this.#opened) return this.#opened
    const seal = this.#sealed()
    const record = readRecord(recordPath(this.#folder))
    const exists = record !== null || this.#file.exists()
    const found = exists ? await this.#load(seal, record) : await this.#begin(seal)
    const opened = seal.wantsPassphrase() ? await this.#reseal(seal, found) : found
    this.#finish(seal, record)
    seal.forget()
    this.#opened = opened
    return opened
  }

  /** Key first, then the file, the record last: cut off anywhere, the next start begins again. */
  async #begin(seal: Seal): Promise<Opened> {
    try {
      ensurePrivateFolder(this.#folder)
    } catch (error) {
      throw onDisk(this.#folder, error)
    }
    const identity = seal.present() ? await seal.open() : await seal.make()
    const entries: Entries = new Map()
    await this.#file.write(identity, entries)
    return { identity, entries }
  }

  async #load(seal: Seal, record: VaultRecord | null): Promise<Opened> {
    // A vault without its key is lost; a new key would only hide that.
    if (!seal.present()) throw seal.missing(record?.kind === 'file' ? record.sealedBy : null)
    const identity = await seal.open()
    const entries = (await this.#file.read(identity)) ?? (await this.#readByOldKey(seal, identity))
    return { identity, entries }
  }

  /** After a crash while a passphrase took the place of a key file, the old key still fits. */
  async #readByOldKey(seal: Seal, identity: Secret): Promise<Entries> {
    const old = seal.oldKeyFile()
    const entries = old === null ? null : await this.#file.read(readKeyFile(old))
    if (!entries) {
      throw unusable(
        this.#file.path,
        'was sealed by another key',
        'put back the key it was made with, or point BROKER_VAULT_KEY_FILE at it',
      )
    }
    await this.#file.write(identity, entries)
    return entries
  }

  /** Under a new identity: the old one lay on the disk in the clear, and may be in a backup. */
  async #reseal(seal: Seal, { entries }: Opened): Promise<Opened> {
    const identity = await seal.make()
    await this.#file.write(identity, entries)
    return { identity, entries }
  }

  #finish(seal: Seal, record: VaultRecord | null): void {
    const made = seal.record()
    if (JSON.stringify(made) !== JSON.stringify(record)) {
      writeRecord(recordPath(this.#folder), made)
    }
    if (made.sealedBy !== 'passphrase') return
    try {
      // A key file of the user's own is not ours to remove; it opens nothing any more.
      rmSync(this.#ownKey, { force: true })
    } catch (error) {
      throw onDisk(this.#ownKey, error)
    }
  }

  async #save(identity: Secret, entries: Entries): Promise<void> {
    await this.#file.write(identity, entries)
    this.#opened = { identity, entries } // only now: memory never says more than the disk
  }

  #sealed(): Seal {
    if (this.#seal) return this.#seal
    if (this.#passphrase) refuseEmpty(this.#passphrase)
    if (this.#passphrase && this.#keyFile !== undefined) throw twoSeals()
    const record = readRecord(recordPath(this.#folder))
    const recorded = record?.kind === 'file' ? record.keyFile : null
    this.#seal = new Seal({
      sealedKey: join(this.#folder, 'vault.key.age'),
      keyFile: this.#keyFile ?? recorded ?? this.#ownKey,
      passphrase: this.#passphrase,
    })
    this.#passphrase = null
    return this.#seal
  }
}

function refuseEmpty(passphrase: Secret): void {
  if (passphrase.reveal() !== '') return
  throw new BrokerError('invalid_request', 'the vault passphrase is empty', {
    hint: 'give one of at least ten random characters, or none to use a key file',
  })
}

function twoSeals(): BrokerError {
  return new BrokerError('config_invalid', 'the vault is given a passphrase and a key file', {
    hint: 'set BROKER_VAULT_PASSPHRASE or BROKER_VAULT_KEY_FILE, not both',
  })
}

function needsNone(): BrokerError {
  return new BrokerError('conflict', 'the vault is sealed by a key file, not by a passphrase', {
    hint: 'start the daemon with BROKER_VAULT_PASSPHRASE to seal it by one from now on',
  })
}
