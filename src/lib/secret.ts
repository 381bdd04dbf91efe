import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/**
 * Holds secret material so that logging, JSON, string building and crash output show
 * `[redacted]`. The value leaves only through `reveal()`, which is what a reviewer greps for.
 */
export class Secret<T = string> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The material itself. Call it as late as possible, and never keep what it returns. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
