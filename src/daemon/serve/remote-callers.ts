import type { Caller, Context, SubjectCaller } from '../../broker/context.ts'
import type { Lease } from '../../core/lease.ts'
import { BrokerError, isBrokerError } from '../../errors.ts'
import { digest } from '../../lib/equal.ts'
import type { LeaseId } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'
import { type Authentication, authenticate } from '../authenticate.ts'
import type { Admission } from './admission.ts'

/** Credentials that are remembered. */
const MOST_KNOWN = 10_000
const TOKEN = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/

export interface CallersTerms {
  readonly context: Context
  readonly authentication: Authentication
  readonly admission: Admission
  /** A key was refused. */
  readonly onRefused: () => void
}

/** Who calls over the network. A right key is let in however many wrong ones came from beside it. */
export class RemoteCallers {
  readonly #terms: CallersTerms
  /** SHA-256 of leases' credentials that were let in, the latest last. */
  readonly #accepted = new Set<string>()

  constructor(terms: CallersTerms) {
    this.#terms = terms
  }

  /** By the operator key or a lease's credential. Throws as `authenticate`, or `rate_limited` after too many. */
  async known(authorization: string | undefined, address: string | undefined): Promise<Caller> {
    const { context, authentication } = this.#terms
    try {
      const caller = await authenticate(context, authentication, authorization)
      if (caller.kind === 'lease') this.#remember(authorization ?? '')
      return caller
    } catch (error) {
      await this.#refused(error, authorization, address)
      throw error
    }
  }

  /** For sessions: also a job by its identity token. */
  async any(authorization: string | undefined, address: string | undefined): Promise<Caller> {
    const token = TOKEN.exec(authorization ?? '')?.[1]
    if (token !== undefined) return this.#subject(token, address)
    const caller = await this.known(authorization, address)
    // Each session may be another lease, with all that is recorded of one.
    if (caller.kind === 'lease') this.#terms.admission.lease(await this.#rootOf(caller.lease))
    return caller
  }

  /**
   * For OAuth's introspection: its clients send a secret as the password of Basic authentication (RFC 6749
   * §2.3.1), under any name.
   */
  async client(authorization: string | undefined, address: string | undefined): Promise<Caller> {
    const password = passwordOf(authorization)
    const bearer = password === undefined ? authorization : `Bearer ${password}`
    try {
      return await this.known(bearer, address)
    } catch (error) {
      // To OAuth a client whose lease has ended is one that it does not know.
      if (isBrokerError(error) && error.code === 'lease_ended') throw unknownClient(error)
      throw error
    }
  }

  /** True of a lease's credential that was let in before, or that ended its lease: its lease may be over by now. */
  knew(credential: string): boolean {
    return this.#accepted.has(digest(`Bearer ${credential}`))
  }

  /** It was good for something else than calling. */
  noteGood(credential: string): void {
    if (credential.startsWith('bkh_')) this.#remember(`Bearer ${credential}`)
  }

  /** Of leases asked for from inside of one another: each with a rate of its own would be no rate. */
  async #rootOf({ id, parent }: Lease): Promise<LeaseId> {
    const above = parent && (await this.#terms.context.store.read.lease(parent))
    return above ? this.#rootOf(above) : id
  }

  #remember(authorization: string): void {
    const credential = digest(authorization)
    this.#accepted.delete(credential)
    this.#accepted.add(credential)
    if (this.#accepted.size > MOST_KNOWN)
      this.#accepted.delete(this.#accepted.values().next().value ?? '')
  }

  #subject(token: string, address: string | undefined): Promise<SubjectCaller> {
    const { context, admission } = this.#terms
    return admission.subject(context, new Secret(token), address)
  }

  /**
   * A credential of a lease that is not live may be one that never was. One that was let in before is no
   * attempt at anything: a program that goes on after its lease has ended must not use up what all jobs of its
   * address have.
   */
  async #refused(
    error: unknown,
    authorization: string | undefined,
    address: string | undefined,
  ): Promise<void> {
    const { context, admission, onRefused } = this.#terms
    const code = isBrokerError(error) ? error.code : null
    if (code !== 'unauthorized' && code !== 'lease_ended') return
    if (code === 'lease_ended' && this.#accepted.has(digest(authorization ?? ''))) return
    onRefused()
    admission.refuseTired(address)
    admission.noteFailure(address)
    if (authorization === undefined || code === 'lease_ended') return
    const from = address ?? 'unknown'
    const data = { address: from, reason: 'key_unknown' }
    await context.refusals.note(from, { type: 'caller.refused', lease: null, data })
  }
}

function unknownClient(cause: unknown): BrokerError {
  return new BrokerError('unauthorized', 'the lease of this credential has ended', {
    hint: 'use the operator key',
    cause,
  })
}

function passwordOf(authorization: string | undefined): string | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/]{1,2000}={0,2})$/.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString()
  const at = pair.indexOf(':')
  try {
    return at < 0 ? undefined : decodeURIComponent(pair.slice(at + 1).replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
