import { BrokerError, type ErrorCode, isBrokerError } from '../../errors.ts'

type Kind = Extract<ErrorCode, 'provider_failed' | 'provider_unavailable'>
type Class = readonly [pattern: RegExp, kind: Kind, what: string, hint: string]

/** By SQLSTATE (PostgreSQL, appendix A) or the code of Node's own network errors. First match. */
const CLASSES: readonly Class[] = [
  [
    /^(28P01|28000)$/,
    'provider_failed',
    'refused the login',
    'store the connection again with a working role and password',
  ],
  [
    /^3D000$/,
    'provider_failed',
    'has no such database',
    'check the database in the URL and in broker.yaml',
  ],
  [
    /^42501$/,
    'provider_failed',
    'did not permit it',
    'broker doctor says which rights the admin role lacks',
  ],
  [
    /^55000$/,
    'provider_failed',
    'is not in a state to do it',
    'the database may refuse connections, or a setting is off',
  ],
  [
    /^(53300|53400)$/,
    'provider_unavailable',
    'has no connection left',
    'it is tried again; raise max_connections if this stays',
  ],
  [/^53/, 'provider_unavailable', 'is out of resources', 'it is tried again; look at the server'],
  [/^(42710|23505)$/, 'provider_failed', 'already has a role of this name', 'ask for a new lease'],
  [
    /^(57P01|57P02|57P03)$/,
    'provider_unavailable',
    'is starting or shutting down',
    'it is tried again',
  ],
  [
    /^(55P03|57014|40P01|40001|25P03)$/,
    'provider_unavailable',
    'was busy with something in the way',
    'it is tried again; look for long transactions',
  ],
  [
    /^(08...|ECONNRESET|EPIPE)$/,
    'provider_unavailable',
    'dropped the connection',
    'it is tried again',
  ],
  [
    /^(ECONNREFUSED|ENOENT)$/,
    'provider_unavailable',
    'does not answer',
    'check that the server runs and the address is right',
  ],
  [
    /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/,
    'provider_unavailable',
    'cannot be reached',
    'check the network and the address',
  ],
  [
    /^(ENOTFOUND|EAI_AGAIN)$/,
    'provider_unavailable',
    'has a host name that is not found',
    'check the host in the URL',
  ],
  [
    /CERT|^ERR_TLS|^ERR_SSL|^EPROTO|SELF_SIGNED|UNABLE_TO/,
    'provider_failed',
    'did not prove who it is',
    'check sslmode and sslrootcert',
  ],
]

/** Errors of the driver that carry no code. Their texts are its own and hold no data. */
const MESSAGES: readonly Class[] = [
  [
    /does not support SSL/,
    'provider_failed',
    'offers no TLS',
    'add ?sslmode=disable to the URL if the network between is trusted',
  ],
  [
    /timeout|terminated|ended|not queryable/i,
    'provider_unavailable',
    'dropped the connection',
    'it is tried again',
  ],
  [
    /SASL|password/i,
    'provider_failed',
    'refused the login',
    'store the connection again with a working role and password',
  ],
]

/**
 * Any error as one of ours. The server's own text may quote data or statements, so only its SQLSTATE
 * is shown; the original is the `cause`, for the debug log.
 */
export function asFailure(error: unknown, connection: string): BrokerError {
  if (isBrokerError(error)) return error
  const code = codeOf(error)
  const [, kind, what, hint] = (code === null ? byMessage(error) : byCode(error, code)) ?? UNKNOWN
  return new BrokerError(kind, `the server of "${connection}" ${what}`, {
    hint,
    details: { connection, ...(code === null ? {} : { sqlstate: code }) },
    cause: error,
  })
}

const UNKNOWN: Class = [
  /$/,
  'provider_failed',
  'answered with an error',
  'broker daemon logs names its class',
]

function byCode(error: unknown, code: string): Class | undefined {
  const effective = isConflict(error) ? '40001' : code
  return CLASSES.find(([pattern]) => pattern.test(effective))
}

/**
 * Two transactions changed the same catalog row: the server has no SQLSTATE of its own for it, and
 * never translates the text. Nothing was done, and it can be tried again at once.
 */
export function isConflict(error: unknown): boolean {
  return (
    codeOf(error) === 'XX000' && error instanceof Error && /tuple concurrently/.test(error.message)
  )
}

function byMessage(error: unknown): Class | undefined {
  if (!(error instanceof Error)) return undefined
  if (/^(Timeout|Abort)Error$/.test(error.name)) {
    return [/$/, 'provider_unavailable', 'did not answer in time', 'it is tried again']
  }
  return MESSAGES.find(([pattern]) => pattern.test(error.message))
}

/** The SQLSTATE or network code of an error, or of what a broker error came from. */
export function codeOf(error: unknown): string | null {
  if (isBrokerError(error)) return codeOf(error.cause)
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  if (!(error instanceof Error) || !('code' in error)) return null
  return typeof error.code === 'string' && /^[A-Z0-9_]{4,60}$/.test(error.code) ? error.code : null
}
