import { BrokerError } from '../errors.ts'

/** A form-encoded request of OAuth (RFC 6749 §3.2). */
export class Form {
  readonly #values = new Map<string, string[]>()

  constructor(text: string) {
    for (const [name, value] of new URLSearchParams(text)) {
      // "Parameters sent without a value MUST be treated as if they were omitted from the request."
      if (value === '') continue
      const known = this.#values.get(name)
      if (known) known.push(value)
      else this.#values.set(name, [value])
    }
  }

  /** Throws `invalid_request` for one that came more than once: which of them counted would be a guess. */
  one(name: string): string | undefined {
    const [value, ...more] = this.all(name)
    if (more.length === 0) return value
    throw invalid(name, 'is given more than once')
  }

  /** Throws `invalid_request` when it is missing. */
  required(name: string): string {
    const value = this.one(name)
    if (value !== undefined) return value
    throw invalid(name, 'is missing')
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** Throws `invalid_request` if any other came more than once, known or not. */
  refuseRepeated(except: readonly string[] = []): void {
    for (const name of this.#values.keys()) if (!except.includes(name)) this.one(name)
  }

  /** Throws `invalid_request` for what came as anything else. */
  static of(body: unknown): Form {
    if (body instanceof Form) return body
    throw new BrokerError('invalid_request', 'the request has no form', {
      hint: 'send it as application/x-www-form-urlencoded',
    })
  }
}

/** The names that others choose are cut, and what is not printable is not repeated. */
function invalid(name: string, what: string): BrokerError {
  const shown = name.slice(0, 50).replace(/[^\w.:-]/g, '?')
  return new BrokerError('invalid_request', `the parameter "${shown}" ${what}`, {
    hint: 'see RFC 6749, section 3.2',
  })
}
