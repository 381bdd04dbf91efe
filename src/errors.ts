/** JSON that may be shown to anyone who may see the error: never a secret, never a part of one. */
export type SafeDetails = Readonly<Record<string, unknown>>

/** Every code the broker fails with on purpose. `api/status.ts` maps each to HTTP and exit status. */
export type ErrorCode =
  | 'usage'
  | 'invalid_request'
  | 'config_invalid'
  | 'not_found'
  | 'conflict'
  | 'unauthorized'
  | 'denied'
  | 'subject_refused' // an identity token that is not accepted, whatever the reason
  | 'token_replayed'
  | 'target_refused'
  | 'details_refused'
  | 'already_claimed'
  | 'issuer_unavailable'
  | 'rate_limited'
  | 'quota_exceeded'
  | 'approval_required'
  | 'approval_denied'
  | 'approval_lapsed'
  | 'isolation_unavailable'
  | 'daemon_unreachable'
  | 'provider_failed'
  | 'provider_unavailable'
  | 'connection_missing'
  | 'vault_locked'
  | 'vault_unavailable'
  | 'storage_full'
  | 'audit_broken'
  | 'lease_ended'
  | 'unsupported'
  | 'internal'

export interface BrokerErrorOptions {
  /** The next step a person can take. Required: an error without a way on is half an error. */
  readonly hint: string
  readonly details?: SafeDetails
  /** For the debug log only; never shown, because causes from upstream may quote secrets. */
  readonly cause?: unknown
}

/**
 * The one error type thrown on purpose. `message` is one lower-case line without a full stop that
 * names the thing in quotes; `details` are data a script may act on. Compare `code`, never classes:
 * the CLI rebuilds this object from JSON.
 */
export class BrokerError extends Error {
  override readonly name = 'BrokerError'
  readonly code: ErrorCode
  readonly hint: string
  readonly details: SafeDetails

  constructor(code: ErrorCode, message: string, options: BrokerErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }
}

/** True for errors of ours, also when they crossed a bundle boundary (so no `instanceof`). */
export function isBrokerError(error: unknown): error is BrokerError {
  return (
    error instanceof Error && error.name === 'BrokerError' && 'code' in error && 'hint' in error
  )
}
