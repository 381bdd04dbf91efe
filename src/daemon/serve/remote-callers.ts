import type { Caller, Context, SubjectCaller } from '../../broker/context.ts'
import { BrokerError, isBrokerError } from '../../errors.ts'
import { Secret } from '../../lib/secret.ts'
import { type Authentication, authenticate } from '../authenticate.ts'
import type { Admission } from './admission.ts'

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

  constructor(terms: CallersTerms) {
    this.#terms = terms
  }

  /** By the operator key or a lease's credential. Throws as `authenticate`, or `rate_limited` after too many. */
  async known(authorization: string | undefined, address: string | undefined): Promise<Caller> {
    const { context, authentication } = this.#terms
    try {
      return await authenticate(context, authentication, authorization)
    } catch (error) {
      await this.#refused(error, authorization, address)
      throw error
    }
  }

  /** For sessions: also a job by its identity token. */
  async any(authorization: string | undefined, address: string | undefined): Promise<Caller> {
    const token = TOKEN.exec(authorization ?? '')?.[1]
    return token === undefined ? this.known(authorization, address) : this.#subject(token, address)
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

  #subject(token: string, address: string | undefined): Promise<SubjectCaller> {
    const { context, admission } = this.#terms
    return admission.subject(context, new Secret(token), address)
  }

  /** A credential of a lease that is not live may be one that never was. */
  async #refused(
    error: unknown,
    authorization: string | undefined,
    address: string | undefined,
  ): Promise<void> {
    const { context, admission, onRefused } = this.#terms
    const code = isBrokerError(error) ? error.code : null
    if (code !== 'unauthorized' && code !== 'lease_ended') return
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
