import type { Risk } from '../../core/risk.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Refusal } from '../../proxy/gate.ts'

/** Codes of contract §5 that the gate itself answers with. */
export type DenialCode =
  | 'operation_denied'
  | 'environment_mismatch'
  | 'environment_unknown'
  | 'foreign_credential'
  | 'credential_missing'
  | 'provider_not_granted'
  | 'approval_required'
  | 'approval_denied'
  | 'lease_ended'
  | 'request_malformed'
  | 'request_too_large'
  | 'egress_denied'
  | 'upstream_failed'

export interface Denial {
  readonly code: DenialCode
  /** One sentence in our words: what was refused, and why. */
  readonly detail: string
  /** What to do instead, or how to ask. */
  readonly next: string
  readonly operation?: string | null | undefined
  readonly risk?: Risk | null | undefined
  readonly rule?: string | null | undefined
  /** A credential that is not the task's own; only its keyed fingerprint is written down. */
  readonly foreign?: string | undefined
  /** The id of what a person has to decide. */
  readonly approval?: string | undefined
}

/** Thrown wherever a request turns out not to be allowed; caught in one place, recorded, answered. */
export class Denied extends Error {
  override readonly name = 'Denied'
  readonly denial: Denial

  constructor(denial: Denial) {
    super(denial.detail)
    this.denial = denial
  }
}

const TITLES: Readonly<Record<DenialCode, string>> = {
  operation_denied: 'the operation is not allowed',
  environment_mismatch: 'it lies in another environment',
  environment_unknown: 'it is not known which environment this touches',
  foreign_credential: 'this is not the credential of this task',
  credential_missing: 'the request carries no credential',
  provider_not_granted: 'this task was not given this provider',
  approval_required: 'a person has to approve this',
  approval_denied: 'a person has refused this',
  lease_ended: 'the lease has ended',
  request_malformed: 'the request has no single meaning',
  request_too_large: 'the request is too large',
  egress_denied: 'this destination is not open to the task',
  upstream_failed: 'the provider could not be asked',
}

export interface DenialContext {
  readonly lease: string
  readonly environment: string
  /** What passes without a person, as the template's rules say it. */
  readonly allowed: readonly string[]
  /** The client speaks GraphQL there, and looks for errors in the body. */
  readonly graphql: boolean
}

/** What an agent reads of a refusal, wherever it stands (contract §5). */
export function problemOf(denial: Denial, context: Omit<DenialContext, 'graphql'>): JsonObject {
  return {
    type: 'about:blank',
    title: TITLES[denial.code],
    status: statusOf(denial),
    detail: denial.detail,
    code: denial.code,
    operation: denial.operation ?? null,
    risk: denial.risk ?? null,
    environment: context.environment,
    rule: denial.rule ?? null,
    lease: context.lease,
    allowed: [...context.allowed],
    next: denial.next,
    ...(denial.approval !== undefined && { approval: denial.approval }),
  }
}

/** For clients that show a message and nothing else. */
export function messageOf({ detail, next }: Denial): string {
  return `${detail}. ${next}`
}

function statusOf({ code }: Denial): number {
  return code === 'upstream_failed' ? 502 : 403
}

/** The answer to a request. */
export function refusalOf(denial: Denial, context: DenialContext): Refusal {
  const body = problemOf(denial, context)
  const status = statusOf(denial)
  if (!context.graphql) {
    return {
      status,
      fields: [['content-type', 'application/problem+json']],
      body: `${JSON.stringify(body)}\n`,
    }
  }
  const errors = [{ message: messageOf(denial), extensions: body }]
  return {
    status,
    fields: [['content-type', 'application/json']],
    body: `${JSON.stringify({ data: null, errors })}\n`,
  }
}
