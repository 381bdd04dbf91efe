import { currentPolicy } from '../broker/configure.ts'
import type { Policy } from '../broker/context.ts'
import type { Store } from '../store/store.ts'
import { documents } from './documents.ts'

/** The applied policy, read once and again after each change. */
export class PolicyCell {
  readonly #store: Store
  #held: Promise<Policy> | null = null

  constructor(store: Store) {
    this.#store = store
  }

  current(): Promise<Policy> {
    this.#held ??= currentPolicy({ store: this.#store }, documents).catch((error: unknown) => {
      this.#held = null
      throw error
    })
    return this.#held
  }

  forget(): void {
    this.#held = null
  }
}
