import type { Context, SubjectCaller } from '../../broker/context.ts'
import { identify } from '../../broker/exchange/identify.ts'
import { BrokerError, isBrokerError } from '../../errors.ts'
import type { LeaseId } from '../../lib/ids.ts'
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
   * Who an identity token speaks for. Throws as `identify`, but `rate_limited` where the address has failed
   * too often: a good token is let in all the same, since strangers may share the address of a job. Throws
   * that too when the subject asks too often.
   */
  async subject(
    context: Context,
    token: Secret,
    address: string | undefined,
  ): Promise<SubjectCaller> {
    const caller = await identify(context, token, address ?? 'unknown').catch((error: unknown) => {
      throw this.refusalOf(address, error)
    })
    const { principal, subject } = caller
    const wait = this.#subjects.take(JSON.stringify([subject.issuer, principal.id]))
    within(wait, 'this subject asks too often')
    return caller
  }

  /** For a session by a lease's credential. `root`: the lease of the job that it all goes back to. */
  lease(root: LeaseId): void {
    within(this.#subjects.take(root), 'this job asks too often')
  }

  /** Throws `rate_limited` when this address has failed too often. */
  refuseTired(address: string | undefined): void {
    within(
      this.#failures.wait(addressKey(address)),
      'too many attempts from this address have failed',
    )
  }

  /**
   * Counts what was wrong with a request, and returns what to tell of it: `rate_limited` when this address has
   * failed too often. What is wrong with us is not its fault.
   */
  refusalOf(address: string | undefined, error: unknown): unknown {
    if (!(isBrokerError(error) && FAULTS.has(error.code))) return error
    try {
      this.refuseTired(address)
    } catch (tired) {
      return tired
    }
    this.noteFailure(address)
    return error
  }

  noteFailure(address: string | undefined): void {
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
