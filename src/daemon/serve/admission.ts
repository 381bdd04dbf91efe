import type { Context, SubjectCaller } from '../../broker/context.ts'
import { identify } from '../../broker/exchange/identify.ts'
import { BrokerError, isBrokerError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { ServeLimits } from './limits.ts'
import { addressKey, Rates } from './rates.ts'

/** How often whom is let in: each verified subject by its rate, each address by how often it failed. */
export class Admission {
  readonly #subjects: Rates
  readonly #failures: Rates

  /** `monotonic`: milliseconds of a clock that is never set back. */
  constructor(limits: ServeLimits, monotonic: () => number) {
    this.#subjects = new Rates(limits.subject, monotonic)
    this.#failures = new Rates(limits.failures, monotonic)
  }

  /**
   * Who an identity token speaks for. Throws `rate_limited` before the token is looked at when its address
   * has failed too often, and after when its subject asks too often; else as `identify`.
   */
  async subject(
    context: Context,
    token: Secret,
    address: string | undefined,
  ): Promise<SubjectCaller> {
    const key = addressKey(address)
    within(this.#failures.wait(key), 'too many attempts from this address have failed')
    let caller: SubjectCaller
    try {
      caller = await identify(context, token, address ?? 'unknown')
    } catch (error) {
      this.noteFailure(address, error)
      throw error
    }
    const { principal, subject } = caller
    const wait = this.#subjects.take(JSON.stringify([subject.issuer, principal.id]))
    within(wait, 'this subject asks too often')
    return caller
  }

  /** Throws `rate_limited` when this address has failed too often. */
  refuseTired(address: string | undefined): void {
    within(
      this.#failures.wait(addressKey(address)),
      'too many attempts from this address have failed',
    )
  }

  /** Counts what was wrong with the request; what is wrong with us is not its fault. */
  noteFailure(address: string | undefined, error?: unknown): void {
    if (error !== undefined && !(isBrokerError(error) && FAULTS.has(error.code))) return
    this.#failures.charge(addressKey(address))
  }

  /** How many addresses and subjects are remembered. */
  get remembered(): number {
    return this.#subjects.size + this.#failures.size
  }
}

const FAULTS: ReadonlySet<string> = new Set(['subject_refused', 'token_replayed', 'unauthorized'])

function within(wait: number, message: string): void {
  if (wait === 0) return
  const retryAfter = Math.ceil(wait / 1000)
  throw new BrokerError('rate_limited', message, {
    hint: `try again in ${retryAfter} s`,
    details: { retryAfter },
  })
}
