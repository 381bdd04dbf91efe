import type { Actor, Lease } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import type { LeaseId } from '../lib/ids.ts'
import { type Caller, principalOf } from './context.ts'
import type { Choice } from './policy.ts'

export interface IssueRequest {
  readonly environment: string
  readonly template?: string | undefined
  readonly ttlMs?: number | undefined
  readonly reason?: string | undefined
  readonly isolation?: Isolation | undefined
  readonly actor?: Partial<Actor> | undefined
}

/** One request on its way: who asks for what, checked, and which template it is about. */
export interface Asked {
  readonly caller: Caller
  readonly request: IssueRequest
  readonly reason: string | null
  readonly choice: Choice
}

/** What every lease has from its request, whatever becomes of it. */
export function beginLease({ caller, request, reason, choice }: Asked, id: LeaseId, now: number) {
  return {
    id,
    environment: choice.environment.name,
    template: { name: choice.template.name, version: choice.version, sha256: choice.sha256 },
    principal: principalOf(caller),
    actor: { command: request.actor?.command ?? null, pid: request.actor?.pid ?? null },
    reason,
    parent: caller.kind === 'lease' ? caller.lease.id : null,
    issuedAt: now,
    deliveredAt: null,
  } satisfies Partial<Lease>
}
