import { createHash } from 'node:crypto'
import { BrokerError, isBrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import { decodeText } from './entries.ts'
import { locked } from './failure.ts'
import { type Keytar, loadKeytar, PatientKeytar } from './keytar.ts'
import { checkName, checkText } from './names.ts'
import { readRecord, recordPath, writeRecord } from './record.ts'
import type { Vault, VaultStatus } from './vault.ts'

export interface KeychainOptions {
  /** The state folder: names this home's part of the keychain, and holds the record of set-up. */
  readonly folder: string
  /** How long one call may take. Milliseconds; 5000 unless said otherwise. */
  readonly deadlineMs?: number | undefined
  readonly load?: (() => Promise<Keytar>) | undefined
}

const SENTINEL = 'sentinel'
const PROBE = 'probe'
const PREFIX = 'base64:'

/** The keychain's name for everything of one home, so that several homes do not share. */
export function serviceName(folder: string): string {
  return `broker-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
}

/**
 * The OS keychain, through keytar. A locked one answers "nothing there" instead of failing (Secret
 * Service API, "Locking"; libsecret drops locked items from a search). So one entry that must be
 * there, the sentinel, is asked for before any absence is believed.
 */
export class KeychainVault implements Vault {
  readonly #folder: string
  readonly #service: string
  readonly #keytar: PatientKeytar
  #ready: Promise<void> | null = null

  constructor(options: KeychainOptions) {
    this.#folder = options.folder
    this.#service = serviceName(options.folder)
    this.#keytar = new PatientKeytar(options.load ?? loadKeytar, options.deadlineMs ?? 5000)
  }

  /** True if it stores, gives back and removes an entry now. Never throws. */
  async answers(): Promise<boolean> {
    try {
      await this.#write(PROBE, 'probe')
      const removed = await this.#keytar.call((k) => k.deletePassword(this.#service, PROBE))
      return removed
    } catch {
      return false
    }
  }

  async status(): Promise<VaultStatus> {
    const isSetUp = readRecord(recordPath(this.#folder)) !== null
    return {
      kind: 'keychain',
      where: `the OS keychain (service ${this.#service})`,
      sealedBy: 'os',
      locked: isSetUp && (await this.#read(SENTINEL)) === null,
    }
  }

  async get(name: string): Promise<Secret | null> {
    checkName(name)
    await this.#setUp()
    const account = accountOf(name)
    let stored = await this.#read(account)
    if (stored === null) {
      await this.#requireSentinel()
      // It may have been unlocked between the two questions; the first answer proves nothing.
      stored = await this.#read(account)
    }
    return stored === null ? null : this.#decode(name, stored)
  }

  async set(name: string, secret: Secret): Promise<void> {
    checkText(name, secret)
    await this.#setUp()
    const encoded = PREFIX + Buffer.from(secret.reveal()).toString('base64')
    await this.#unlessLocked(() => this.#write(accountOf(name), encoded))
  }

  async delete(name: string): Promise<boolean> {
    checkName(name)
    await this.#setUp()
    const remove = () => this.#keytar.call((k) => k.deletePassword(this.#service, accountOf(name)))
    if (await this.#unlessLocked(remove)) return true
    await this.#requireSentinel()
    return remove()
  }

  async unlock(_passphrase: Secret): Promise<void> {
    throw new BrokerError('unsupported', 'the OS keychain takes no passphrase from the broker', {
      hint: 'unlock it in your desktop session',
    })
  }

  #setUp(): Promise<void> {
    this.#ready ??= this.#writeSentinel().catch((error: unknown) => {
      this.#ready = null
      throw error
    })
    return this.#ready
  }

  async #writeSentinel(): Promise<void> {
    const path = recordPath(this.#folder)
    if (readRecord(path) !== null) return
    await this.#write(SENTINEL, 'this entry tells a locked keychain from an empty one')
    writeRecord(path, { kind: 'keychain' })
  }

  async #requireSentinel(): Promise<void> {
    if ((await this.#read(SENTINEL)) !== null) return
    throw locked(
      'the OS keychain is locked, or no longer holds what this home stored in it',
      `unlock it and try again; if it was reset, remove "${recordPath(this.#folder)}" to start empty`,
    )
  }

  /** A locked keychain refuses to write, in words that vary: the sentinel tells. */
  async #unlessLocked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isBrokerError(error)) await this.#requireSentinel()
      throw error
    }
  }

  #read(account: string): Promise<string | null> {
    return this.#keytar.call((keytar) => keytar.getPassword(this.#service, account))
  }

  /** Read back, because some keychains cut long values and say nothing. */
  async #write(account: string, value: string): Promise<void> {
    await this.#keytar.call((keytar) => keytar.setPassword(this.#service, account, value))
    if ((await this.#read(account)) === value) return
    throw new BrokerError('vault_unavailable', 'the OS keychain did not keep what it was given', {
      hint: 'use an encrypted file instead: BROKER_VAULT=file, in a new home',
    })
  }

  #decode(name: string, stored: string): Secret {
    const secret = stored.startsWith(PREFIX) ? decodeText(stored.slice(PREFIX.length)) : null
    if (secret) return secret
    throw new BrokerError('vault_unavailable', `the keychain's entry for "${name}" is damaged`, {
      hint: `store it again; it is in service ${this.#service}`,
    })
  }
}

/** A name of the user's can never be the sentinel's. */
function accountOf(name: string): string {
  return `secret/${name}`
}
