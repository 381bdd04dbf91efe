import type { IncomingHttpHeaders } from 'node:http'
import { type Dispatcher, request } from 'undici'
import type { JsonObject } from '../../../lib/json.ts'
import { type Caller, credentialField, fingerprintOf } from '../connection.ts'
import { Agents } from './agents.ts'
import { readAnswer, readText } from './answer.ts'
import { failure, limited, networkFailure } from './failure.ts'
import { RateLimits } from './rate-limits.ts'

const PATH = '/graphql/v2'
const CALL_MS = 10_000

export interface Asking {
  readonly signal: AbortSignal
  readonly now: () => number
  /** Asks although the limit was used up a moment ago: ending a credential is worth the try. */
  readonly urgent?: boolean
}

/** Railway's GraphQL API. Follows no redirects; every failure is a `BrokerError` in our own words. */
export class Api {
  readonly #agents = new Agents()
  readonly #limits = new RateLimits()

  /**
   * Sends one document and returns its `data`. An answer with any error in it is a failure as a
   * whole. Throws `provider_unavailable` (network, overload, rate limit) or `provider_failed`, with
   * the `Reason` in `details`.
   */
  async ask(caller: Caller, query: string, { signal, now, urgent }: Asking): Promise<JsonObject> {
    // A limit belongs to a token at an address.
    const key = fingerprintOf(caller)
    if (urgent !== true) this.#limits.check(key, caller.connection, now())
    const { status, headers, body } = await this.#send(caller, query, signal)
    const until = this.#limits.learn(key, status, headers, now())
    if (status === 429) throw limited(caller.connection, until ?? now())
    if (status >= 500) throw failure('unreachable', caller.connection)
    if (status === 401 || status === 403) throw failure('refused', caller.connection)
    if (status >= 300 && status < 400) throw failure('unreadable', caller.connection)
    return readAnswer(body, caller.connection)
  }

  close(): Promise<void> {
    return this.#agents.close()
  }

  async #send(caller: Caller, query: string, signal: AbortSignal): Promise<Received> {
    try {
      signal.throwIfAborted()
      const [name, value] = credentialField(caller.header, caller.token)
      const answer = await request(`${caller.origin}${PATH}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'user-agent': 'broker',
          [name]: value.reveal(),
        },
        body: JSON.stringify({ query }),
        dispatcher: this.#agents.dispatcher(caller.ca),
        signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]),
      })
      return await received(answer, caller.connection)
    } catch (error) {
      throw networkFailure(error, caller.connection)
    }
  }
}

interface Received {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function received(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  connection: string,
): Promise<Received> {
  return { status: statusCode, headers, body: await readText(body, connection) }
}
