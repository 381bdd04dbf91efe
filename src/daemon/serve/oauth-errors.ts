import type { FastifyReply } from 'fastify'
import { STATUS } from '../../api/status.ts'
import type { Log } from '../../broker/context.ts'
import type { ErrorCode } from '../../errors.ts'
import { problemOf } from '../problem.ts'

/** The error codes of RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5 and RFC 7009 §2.2.1. */
export type OauthCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_authorization_details'
  | 'unsupported_grant_type'
  | 'temporarily_unavailable'
  | 'server_error'

/** As a token endpoint tells it. The reason stands in the audit log, and only there. */
export interface OauthError {
  readonly error: OauthCode
  readonly error_description: string
  /** Ours: the lease that is meant, where there is one. */
  readonly lease_id?: string
}

const CODES: Partial<Readonly<Record<ErrorCode, OauthCode>>> = {
  unauthorized: 'invalid_client',
  target_refused: 'invalid_target',
  details_refused: 'invalid_authorization_details',
  issuer_unavailable: 'temporarily_unavailable',
  rate_limited: 'temporarily_unavailable',
  quota_exceeded: 'temporarily_unavailable',
  storage_full: 'temporarily_unavailable',
  vault_locked: 'temporarily_unavailable',
  vault_unavailable: 'temporarily_unavailable',
  provider_unavailable: 'temporarily_unavailable',
  provider_failed: 'server_error',
  connection_missing: 'server_error',
  config_invalid: 'server_error',
  audit_broken: 'server_error',
  internal: 'server_error',
}

const RETRY_AFTER_S = 5

/** Answers as OAuth says. Never more than the error's own message, which is made for whoever asked. */
export function answerOauth(error: unknown, reply: FastifyReply, log: Log): OauthError {
  const { error: body } = problemOf(error, log)
  const { code, details } = body as typeof body & { code: ErrorCode }
  const lease = details['lease']
  const answer: OauthError = {
    error: codeOf(code, details['parameter']),
    error_description: describe(body.message),
    ...(typeof lease === 'string' && { lease_id: lease }),
  }
  const status = statusOf(code, answer.error)
  if (status === 429 || status === 503) {
    reply.header('retry-after', String(details['retryAfter'] ?? RETRY_AFTER_S))
  }
  if (status === 401) {
    reply.header('www-authenticate', ['Bearer realm="broker"', 'Basic realm="broker"'])
  }
  noStore(reply)
  reply.code(status).type('application/json').send(answer)
  return answer
}

/** RFC 6749 §5.1: for whatever holds a token, and what is said about one. */
export function noStore(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store').header('pragma', 'no-cache')
}

function codeOf(code: ErrorCode, parameter: unknown): OauthCode {
  if (code === 'unsupported' && parameter === 'grant_type') return 'unsupported_grant_type'
  if (code === 'invalid_request' && parameter === 'scope') return 'invalid_scope'
  return CODES[code] ?? 'invalid_request'
}

/** A request that is at fault is 400, whatever else we call its fault (RFC 6749 §5.2). */
function statusOf(code: ErrorCode, error: OauthCode): number {
  if (error === 'invalid_client') return 401
  if (error === 'temporarily_unavailable') return STATUS[code].http === 429 ? 429 : 503
  if (error === 'server_error') return STATUS[code].http === 502 ? 502 : 500
  return 400
}

/** The characters that RFC 6749 §5.2 lets in: no quotation mark, no backslash, nothing beyond ASCII. */
function describe(message: string): string {
  return message
    .replaceAll('"', "'")
    .replaceAll('\\', '/')
    .replace(/[^\x20-\x7e]/g, '?')
}
