import type { JSONWebKeySet } from 'jose'
import type { JsonObject } from '../lib/json.ts'
import type { Signer } from '../providers/provider.ts'
import type { Vault } from '../vault/vault.ts'
import { alive, isCurrent, type PublicKeyShelf, published, succeed } from './public-keys.ts'
import { makeKey, readKey, type SigningKey } from './signing-key.ts'
import { type VerifyOptions, verifyToken } from './verify.ts'

/** Name of the private key in the vault. */
const NAME = 'signing-key'
const MAX_AGE_MS = 30 * 86_400_000

export interface SigningKeysOptions {
  readonly vault: Pick<Vault, 'get' | 'set'>
  readonly shelf: PublicKeyShelf
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Our own signing key: made on first use, replaced after 30 days, private half in the vault, public
 * halves on a shelf that needs no vault. One instance per daemon.
 */
export class SigningKeys {
  readonly #vault: Pick<Vault, 'get' | 'set'>
  readonly #shelf: PublicKeyShelf
  readonly #now: () => number
  #key: SigningKey | null = null
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: SigningKeysOptions) {
    this.#vault = options.vault
    this.#shelf = options.shelf
    this.#now = options.now
  }

  /** Throws `vault_locked` and `vault_unavailable` until the key was read once. */
  async signer(): Promise<Signer> {
    const key = this.#young() ?? (await this.#inTurn(() => this.#renew()))
    return { sign: (typ, claims) => sign(key, typ, claims) }
  }

  /** Makes a new key that signs from now on. Returns its kid. */
  async rotate(): Promise<string> {
    return (await this.#inTurn(() => this.#replace())).kid
  }

  /** The public keys that something alive may be signed with. Needs no vault; empty before first use. */
  async jwks(): Promise<JSONWebKeySet> {
    const keys = alive(await this.#shelf.readPublic(), this.#now())
    return { keys: keys.map(published) }
  }

  /** The claims of a token one of our keys signed, or null. Needs no vault. */
  async verify(
    token: string,
    options: Pick<VerifyOptions, 'typ' | 'issuer'>,
  ): Promise<JsonObject | null> {
    return verifyToken(token, { ...options, jwks: await this.jwks(), now: this.#now() })
  }

  /** The key in memory, unless its time is over. */
  #young(): SigningKey | null {
    return this.#key && this.#now() - this.#key.madeAt <= MAX_AGE_MS ? this.#key : null
  }

  async #renew(): Promise<SigningKey> {
    this.#key ??= await this.#load() // who waited for a turn may find it done
    return this.#young() ?? (await this.#replace())
  }

  /** One change at a time: two first uses make one key. A failure leaves what was there before. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(change)
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #load(): Promise<SigningKey> {
    const stored = await this.#vault.get(NAME)
    if (!stored) return this.#replace()
    const key = await readKey(stored)
    const keys = await this.#shelf.readPublic()
    // A crash while replacing it, or a database from a backup: it signs, so it has to be there.
    if (!isCurrent(keys, key.kid))
      await this.#shelf.writePublic(succeed(keys, key.public, this.#now()))
    return key
  }

  /** Published before it can sign: no token is ever out whose key nobody can look up. */
  async #replace(): Promise<SigningKey> {
    const made = await makeKey(this.#now())
    const key = await readKey(made)
    const keys = await this.#shelf.readPublic()
    await this.#shelf.writePublic(succeed(keys, key.public, this.#now()))
    await this.#vault.set(NAME, made)
    this.#key = key
    return key
  }
}

async function sign(key: SigningKey, typ: string, claims: JsonObject): Promise<string> {
  const { SignJWT } = await import('jose')
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.kid, typ })
    .sign(key.sign)
}
