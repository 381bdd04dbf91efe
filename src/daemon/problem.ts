import { STATUS } from '../api/status.ts'
import type { ErrorBody } from '../api/types.ts'
import type { Log } from '../broker/context.ts'
import { BrokerError, type ErrorCode, isBrokerError } from '../errors.ts'

/** An error as it leaves: RFC 9457, with the CLI's own form under `error`. */
export interface Problem extends ErrorBody {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
}

/** The one place where an error becomes an answer. What is not ours becomes `internal`, told only to the log. */
export function problemOf(error: unknown, log: Log): Problem {
  const known = isBrokerError(error) ? error : fromFramework(error, log)
  const { code, message, hint, details } = known
  return {
    type: `urn:broker:error:${code}`,
    title: code.replaceAll('_', ' '),
    status: STATUS[code].http,
    detail: message,
    error: { code, message, hint, details },
  }
}

/** Fastify's and zod's refusals are the caller's fault; anything else is ours. */
function fromFramework(error: unknown, log: Log): BrokerError {
  const { statusCode, code, issues } = error as {
    statusCode?: unknown
    code?: unknown
    issues?: readonly { readonly path: readonly PropertyKey[]; readonly code: string }[]
  }
  if (Array.isArray(issues)) {
    const where = issues
      .map((issue) => issue.path.map(String).join('.') || 'the request')
      .join(', ')
    return refusal('invalid_request', `the request is not as expected: ${where}`)
  }
  if (statusCode === 404) return refusal('not_found', 'there is no such route')
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return refusal('invalid_request', `the request was refused (${String(code ?? statusCode)})`)
  }
  log.error('unexpected', error)
  return new BrokerError('internal', 'something failed inside the broker', {
    hint: 'see broker daemon logs; the log names the place',
  })
}

function refusal(code: ErrorCode, message: string): BrokerError {
  return new BrokerError(code, message, {
    hint: 'the CLI and the daemon may be of different versions',
  })
}
