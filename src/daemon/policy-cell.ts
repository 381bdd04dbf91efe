import { currentPolicy } from '../broker/configure.ts'
import type { Policy } from '../broker/context.ts'
import type { TrustTerms } from '../core/trust/compile.ts'
import type { Store } from '../store/store.ts'
import { documents } from './documents.ts'

const LOCAL: TrustTerms = { ours: 'https://broker.localhost', plainLoopback: false }

/** The applied policy, read once and again after each change. */
export class PolicyCell {
  readonly #store: Store
  readonly #terms: TrustTerms
  #held: Promise<Policy> | null = null

  /** `terms`: of a server. Without them its rules are compiled for nobody: a token names no such audience. */
  constructor(store: Store, terms: TrustTerms = LOCAL) {
    this.#store = store
    this.#terms = terms
  }

  current(): Promise<Policy> {
    this.#held ??= this.#read()
    return this.#held
  }

  forget(): void {
    this.#held = null
  }

  async #read(): Promise<Policy> {
    try {
      return await currentPolicy({ store: this.#store }, documents, this.#terms)
    } catch (error) {
      this.#held = null
      throw error
    }
  }
}
