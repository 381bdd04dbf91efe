import type { CryptoKey } from 'jose'
import type { Algorithm } from './header.ts'
import type { IssuerFetch } from './issuer-fetch.ts'
import { KeySet } from './key-set.ts'
import { freshFor, KEY_TIMING } from './key-timing.ts'
import { type IssuerMetadata, metadataUrl, readMetadata } from './metadata.ts'
import { TokenRefused } from './refused.ts'

interface Loaded {
  readonly keys: KeySet
  readonly at: number
  readonly freshMs: number
}

interface Known {
  readonly metadata: IssuerMetadata
  readonly at: number
}

/**
 * The keys of one issuer: fetched when first needed, kept for as long as the issuer says within our
 * bounds, fetched ahead of time while in use, and used on for a while when the issuer cannot be asked.
 * One question at a time, however many tokens wait for the answer.
 */
export class IssuerKeys {
  readonly #issuer: string
  readonly #fetch: IssuerFetch
  readonly #now: () => number
  #known: Known | null = null
  #loaded: Loaded | null = null
  #running: Promise<Loaded> | null = null
  #failure: { readonly error: unknown; readonly at: number } | null = null
  #searchedAt = Number.NEGATIVE_INFINITY

  /** `now`: milliseconds since the epoch. */
  constructor(issuer: string, fetch: IssuerFetch, now: () => number) {
    this.#issuer = issuer
    this.#fetch = fetch
    this.#now = now
  }

  /**
   * The key for a token, whose `kid` is a stranger's word: one that is not known makes us look once, and
   * not again for a minute. Throws `TokenRefused`.
   */
  async key(algorithm: Algorithm, kid: string | null): Promise<CryptoKey> {
    const before = this.#loaded
    const loaded = await this.#current()
    if (!this.#known?.metadata.algorithms.includes(algorithm)) {
      throw new TokenRefused('algorithm_not_offered', `the issuer does not sign with ${algorithm}`)
    }
    const found = loaded.keys.find(algorithm, kid)
    if (found) return found
    // What was fetched for this very token does not get newer by asking again.
    const newest = loaded === before ? await this.#search(loaded) : loaded
    const late = newest.keys.find(algorithm, kid)
    if (late) return late
    throw new TokenRefused('key_unknown', 'the issuer has no such key')
  }

  /** Fetches the keys if there are none yet. Throws `TokenRefused`. */
  async warm(): Promise<void> {
    await this.#current()
  }

  async #current(): Promise<Loaded> {
    const loaded = this.#loaded
    const age = loaded ? this.#since(loaded.at) : Number.POSITIVE_INFINITY
    if (!loaded || age >= KEY_TIMING.deadMs) return this.#load()
    if (age < loaded.freshMs * KEY_TIMING.ahead) return loaded
    const next = this.#load()
    // Who has keys that are still good, or knows of an outage already, does not wait for the answer.
    if (age >= loaded.freshMs && this.#failure === null) return next.catch(() => loaded)
    next.catch(() => undefined)
    return loaded
  }

  /** For a `kid` that is not there: the issuer may have a new key. */
  async #search(loaded: Loaded): Promise<Loaded> {
    if (this.#running) return this.#running
    if (this.#since(this.#searchedAt) < KEY_TIMING.searchMs) {
      // Whether it has is not known while it cannot be asked.
      if (this.#failure) throw this.#failure.error
      return loaded
    }
    if (!this.#isResting()) this.#searchedAt = this.#now()
    return this.#load()
  }

  /** Joins a question that is under way; after a failure, does not ask again for a moment. */
  #load(): Promise<Loaded> {
    if (this.#running) return this.#running
    if (this.#isResting()) return Promise.reject(this.#failure?.error)
    this.#running = this.#ask().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async #ask(): Promise<Loaded> {
    try {
      const { metadata } = await this.#metadata()
      const { body, cacheControl } = await this.#fetch(metadata.jwksUri)
      const keys = KeySet.read(body)
      this.#loaded = { keys, at: this.#now(), freshMs: freshFor(cacheControl) }
      this.#failure = null
      return this.#loaded
    } catch (error) {
      this.#failure = { error, at: this.#now() }
      throw error
    }
  }

  async #metadata(): Promise<Known> {
    const known = this.#known
    if (known && this.#since(known.at) < KEY_TIMING.metadataMs) return known
    const { body } = await this.#fetch(metadataUrl(this.#issuer))
    this.#known = { metadata: readMetadata(this.#issuer, body), at: this.#now() }
    return this.#known
  }

  #isResting(): boolean {
    return this.#failure !== null && this.#since(this.#failure.at) < KEY_TIMING.retryMs
  }

  /** A clock that was set back must not make what we have last longer. */
  #since(at: number): number {
    return Math.abs(this.#now() - at)
  }
}
