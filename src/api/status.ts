import type { ErrorCode } from '../errors.ts'

interface Status {
  readonly http: number
  readonly exit: number
}

/** What each code means to HTTP and to a shell (contract §2). The only place that says so. */
export const STATUS: Readonly<Record<ErrorCode, Status>> = {
  usage: { http: 400, exit: 2 },
  invalid_request: { http: 400, exit: 1 },
  config_invalid: { http: 422, exit: 1 },
  not_found: { http: 404, exit: 1 },
  conflict: { http: 409, exit: 1 },
  unauthorized: { http: 401, exit: 3 },
  denied: { http: 403, exit: 3 },
  subject_refused: { http: 401, exit: 3 },
  token_replayed: { http: 401, exit: 3 },
  target_refused: { http: 403, exit: 3 },
  details_refused: { http: 403, exit: 3 },
  already_claimed: { http: 410, exit: 3 },
  issuer_unavailable: { http: 503, exit: 5 },
  rate_limited: { http: 429, exit: 5 },
  quota_exceeded: { http: 429, exit: 3 },
  approval_required: { http: 403, exit: 4 },
  approval_denied: { http: 403, exit: 4 },
  approval_lapsed: { http: 403, exit: 4 },
  isolation_unavailable: { http: 403, exit: 3 },
  daemon_unreachable: { http: 503, exit: 5 },
  provider_failed: { http: 502, exit: 6 },
  provider_unavailable: { http: 503, exit: 6 },
  connection_missing: { http: 409, exit: 1 },
  vault_locked: { http: 503, exit: 1 },
  vault_unavailable: { http: 503, exit: 1 },
  storage_full: { http: 507, exit: 1 },
  audit_broken: { http: 500, exit: 1 },
  lease_ended: { http: 410, exit: 3 },
  unsupported: { http: 501, exit: 1 },
  internal: { http: 500, exit: 1 },
}

/** The broker refused or failed before the child ran (contract §2). */
export const EXEC_REFUSED = 125
export const EXEC_NOT_EXECUTABLE = 126
export const EXEC_NOT_FOUND = 127

/** 1 for codes of a newer daemon that this CLI does not know. */
export function exitCode(code: string): number {
  return Object.hasOwn(STATUS, code) ? STATUS[code as ErrorCode].exit : 1
}
