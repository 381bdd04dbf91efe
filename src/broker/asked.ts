import type { GrantDetail } from '../core/details.ts'
import type { Actor, Lease, LeaseRun } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import { describeRun, runIdentity } from '../core/trust/run.ts'
import { digest } from '../lib/equal.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { JsonObject } from '../lib/json.ts'
import type { StoredExchange } from '../store/store.ts'
import { type Caller, principalOf } from './context.ts'
import type { Choice } from './policy.ts'

export interface IssueRequest {
  readonly environment: string
  readonly template?: string | undefined
  readonly ttlMs?: number | undefined
  readonly reason?: string | undefined
  readonly isolation?: Isolation | undefined
  readonly actor?: Partial<Actor> | undefined
  /** Less of each grant than the template allows; a grant that is not named is left out. */
  readonly details?: readonly GrantDetail[] | undefined
}

/** One request on its way: who asks for what, checked, and which template it is about. */
export interface Asked {
  readonly caller: Caller
  readonly request: IssueRequest
  readonly reason: string | null
  readonly choice: Choice
  /** The identity token that is used up with it; null for callers that have none. */
  readonly consumes: Omit<StoredExchange, 'lease'> | null
}

/** What every lease has from its request, whatever becomes of it. */
export function beginLease({ caller, request, reason, choice }: Asked, id: LeaseId, now: number) {
  return {
    id,
    environment: choice.environment.name,
    template: { name: choice.template.name, version: choice.version, sha256: choice.sha256 },
    principal: principalOf(caller),
    actor: actorOf(request),
    reason,
    parent: caller.kind === 'lease' ? caller.lease.id : null,
    run: runOf(caller),
    issuedAt: now,
    deliveredAt: null,
  } satisfies Partial<Lease>
}

/** Of a stranger's words only what an audit entry can hold: half a character is none. */
function actorOf({ actor }: IssueRequest): Actor {
  return { command: actor?.command?.toWellFormed() ?? null, pid: actor?.pid ?? null }
}

/** What is asked for from inside belongs to the same run, and is not counted: it ends with the task. */
function runOf(caller: Caller): LeaseRun | null {
  if (caller.kind === 'operator') return null
  if (caller.kind === 'lease') return caller.lease.run && { ...caller.lease.run, key: null }
  return runOfClaims(caller.subject.claims)
}

function runOfClaims(claims: JsonObject): LeaseRun | null {
  const key = runIdentity(claims)
  const { repository, ref, workflow, run } = describeRun(claims)
  const shown = {
    repository: short(repository),
    ref: short(ref),
    workflow: short(workflow),
    run: short(run),
  }
  if (key === null && Object.values(shown).every((one) => one === null)) return null
  return { key: key && digest(key), shown }
}

function short(text: string | null): string | null {
  return text === null ? null : text.slice(0, 300).toWellFormed()
}
