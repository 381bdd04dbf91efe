import { BrokerError, type ErrorCode, isBrokerError } from '../../../errors.ts'

/**
 * What the API meant by an error, as far as its words tell. `refused`: this credential may not.
 * `absent`: there is no such thing. Railway often says the first where the second would be true.
 */
export type Reason = 'refused' | 'absent' | 'rejected' | 'unreachable' | 'limited' | 'unreadable'

interface Told {
  readonly code: Extract<ErrorCode, 'provider_failed' | 'provider_unavailable'>
  readonly message: string
  readonly hint: string
}

const TOLD: Readonly<Record<Exclude<Reason, 'limited'>, (connection: string) => Told>> = {
  refused: (connection) => ({
    code: 'provider_failed',
    message: `railway refused the token of "${connection}"`,
    hint: `see what it can do: broker doctor; store another with: broker connect railway ${connection}`,
  }),
  absent: (connection) => ({
    code: 'provider_failed',
    message: `railway found nothing by that id with the token of "${connection}"`,
    hint: 'check the ids in broker.yaml, and that the token reaches that project',
  }),
  rejected: (connection) => ({
    code: 'provider_failed',
    message: `railway rejected a request with the token of "${connection}"`,
    hint: 'check the ids in broker.yaml; the API may have changed, see broker daemon logs',
  }),
  unreachable: (connection) => ({
    code: 'provider_unavailable',
    message: `railway does not answer for "${connection}"`,
    hint: 'it is tried again; check the network, and status.railway.com',
  }),
  unreadable: (connection) => ({
    code: 'provider_failed',
    message: `the server of "${connection}" did not answer like railway`,
    hint: 'check --url: it has to name the API itself, not a page or a redirect',
  }),
}

/** An error in our own words: what the API says may quote what it was sent. */
export function failure(
  reason: Exclude<Reason, 'limited'>,
  connection: string,
  cause?: unknown,
): BrokerError {
  const { code, message, hint } = TOLD[reason](connection)
  return new BrokerError(code, message, { hint, details: { connection, reason }, cause })
}

/** While `until` (milliseconds since the epoch) lies ahead, nothing is asked. */
export function limited(connection: string, until: number): BrokerError {
  const at = new Date(until).toISOString()
  return new BrokerError(
    'provider_unavailable',
    `railway's rate limit of "${connection}" is used up`,
    {
      hint: `it may be asked again at ${at}; a larger plan has a larger limit`,
      details: { connection, reason: 'limited', until: at },
    },
  )
}

/** Why a call failed; null for errors that did not come from the API. */
export function reasonOf(error: unknown): Reason | null {
  if (!isBrokerError(error)) return null
  const { reason } = error.details
  return REASONS.find((each) => each === reason) ?? null
}

const REASONS: readonly Reason[] = [
  'refused',
  'absent',
  'rejected',
  'unreachable',
  'limited',
  'unreadable',
]

/** True where the API said a clear no: neither silence nor an answer that nobody understands. */
export function isDefinite(error: unknown): boolean {
  const reason = reasonOf(error)
  return reason === 'refused' || reason === 'absent' || reason === 'rejected'
}

const UNTRUSTED = /CERT|^ERR_TLS|^ERR_SSL|^EPROTO|SELF_SIGNED|UNABLE_TO/

/** What went wrong between us and an answer. A certificate that does not verify stays wrong. */
export function networkFailure(error: unknown, connection: string): BrokerError {
  if (isBrokerError(error)) return error
  if (!UNTRUSTED.test(codeOf(error))) return failure('unreachable', connection, error)
  return new BrokerError(
    'provider_failed',
    `the server of "${connection}" did not prove who it is`,
    {
      hint: 'check --url and --ca-file',
      details: { connection, reason: 'unreadable' },
      cause: error,
    },
  )
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  if (!(error instanceof Error)) return ''
  const code = 'code' in error ? String(error.code) : ''
  return code === '' || code.startsWith('UND_') ? codeOf(error.cause) || code : code
}
