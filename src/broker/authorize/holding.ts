import { createHash } from 'node:crypto'
import type { Approval } from '../../core/approval.ts'
import type { Classified, Resource } from '../../core/guard.ts'
import { isBrokerError } from '../../errors.ts'
import { canonicalJson } from '../../lib/json.ts'
import type { JudgedRequest } from '../../proxy/gate.ts'
import { awaitDecision } from '../approval/await.ts'
import { type NewApproval, requestApproval } from '../approval/request.ts'
import type { Context } from '../context.ts'
import { type DenialCode, Denied } from './denial.ts'
import { withOwnNames } from './own-names.ts'
import type { PlacedOperation, Target } from './places.ts'
import type { Task, TaskGrant } from './task.ts'
import { toBeTyped } from './typed.ts'
import { type RuledOperation, summaryOf } from './words.ts'

/** One request that a person has to decide, with everything the decision will be bound to. */
export interface Held {
  readonly request: JudgedRequest
  readonly grant: TaskGrant
  readonly classified: Classified
  readonly placed: readonly PlacedOperation[]
  readonly ruled: readonly RuledOperation[]
}

/** Fields that differ between two sendings of the same request, and mean nothing. */
const NOISE: ReadonlySet<string> = new Set([
  'user-agent',
  'accept-encoding',
  'accept-language',
  'date',
  'traceparent',
  'tracestate',
  'x-request-id',
])

/**
 * Hex SHA-256 over the exact request and what it was found to touch: method, authority, path, the
 * canonical body, fields, lease, grant, rules and the resolution. Change any, and no approval fits.
 */
export function bindingOf(task: Task, held: Held): string {
  const { request, grant, classified, placed, ruled } = held
  const carriers = new Set(grant.guard.carriers.map(({ header }) => header))
  const { forward } = classified
  const body = forward.kind === 'body' ? Buffer.from(forward.text) : (request.body ?? null)
  return sha256(
    canonicalJson({
      lease: task.lease,
      grant: grant.name,
      method: request.method,
      authority: `${request.scheme}://${request.host}:${request.port}`,
      path: request.path,
      query: request.query ?? null,
      fields: request.fields
        .filter(([name]) => !carriers.has(name) && !NOISE.has(name))
        .map(([name, value]) => [name, value]),
      body: body === null ? null : sha256(body),
      rules: ruled.map(({ name, rule }) => [name, rule]),
      targets: placed.map(({ operation, targets }) => [
        operation.name,
        ...targets.map(({ resource, location }) => ({
          kind: resource.kind,
          id: resource.id,
          environments: (location?.environments ?? []).map(({ id }) => id),
          project: location?.project?.id ?? null,
          notes: [...(location?.notes ?? [])],
        })),
      ]),
    }),
  )
}

/**
 * Asks a person, and waits as long as the template says. Returns the approval when it was given;
 * throws `Denied` when it was refused, has lapsed, or is still being waited for.
 */
export async function hold(
  context: Context,
  task: Task,
  held: Held,
  signal: AbortSignal,
): Promise<Approval> {
  const asked = await ask(context, held, newApproval(task, held))
  const approval =
    asked.state === 'pending'
      ? await awaitDecision(context, asked.id, task.template.approvalWaitMs, signal)
      : asked
  if (approval.state === 'approved') return approval
  const about = { ...operationOf(held), approval: approval.id }
  if (approval.state === 'denied') {
    throw new Denied({
      ...about,
      code: 'approval_denied',
      detail: `a person refused this${approval.note === null ? '' : `: ${approval.note}`}`,
      next: 'do not repeat it; do something else, or ask the person in words',
    })
  }
  throw new Denied({
    ...about,
    code: 'approval_required',
    detail: `a person has to approve this, and has not yet (approval ${approval.id})`,
    next: `ask the person to run: broker approve ${approval.id}; then send the identical request again, it passes once`,
  })
}

/** What nobody is asked (too many wait, too much at once) is refused under its own operation. */
async function ask(context: Context, held: Held, wanted: NewApproval): Promise<Approval> {
  try {
    return await requestApproval(context, wanted)
  } catch (error) {
    const code = isBrokerError(error) && UNASKED[error.code]
    if (!isBrokerError(error) || !code) throw error
    throw new Denied({ ...operationOf(held), code, detail: error.message, next: error.hint })
  }
}

const UNASKED: Readonly<Record<string, DenialCode>> = {
  approval_required: 'approval_required',
  denied: 'operation_denied',
}

function newApproval(task: Task, held: Held): NewApproval {
  const { grant, classified, ruled } = held
  const placed = withOwnNames(held.placed, task.environment, grant.place)
  return {
    kind: 'request',
    lease: task.lease,
    environment: task.environment,
    template: task.template.name,
    principal: task.principal,
    actor: task.actor,
    reason: task.reason,
    grant: grant.name,
    provider: grant.provider.name,
    operations: classified.operations.map(({ name, risk }) => ({ name, risk })),
    summary: summaryOf(classified.operations, placed),
    targets: withoutTwins(placed).map(({ resource, location }) => ({
      kind: resource.kind,
      id: resource.id,
      name: location?.name ?? null,
      environments: location?.environments ?? [],
      notes: location?.notes ?? [],
      renamed: resource.kind !== 'environment' && task.renamed.has(keyOf(resource)),
    })),
    rule: ruled.find(({ decision }) => decision === 'approve')?.rule ?? 'approve',
    confirm: task.template.confirm,
    typed: toBeTyped(placed) ?? task.environment,
    binding: bindingOf(task, held),
  }
}

const keyOf = ({ kind, id }: Resource) => `${kind} ${id}`

/** Several operations may touch the same thing: it is shown once. */
function withoutTwins(placed: readonly PlacedOperation[]): readonly Target[] {
  const found = new Map<string, Target>()
  for (const target of placed.flatMap((one) => one.targets)) {
    const key = keyOf(target.resource)
    if (!found.get(key)?.location) found.set(key, target)
  }
  return [...found.values()]
}

function operationOf({ ruled }: Held) {
  const one = ruled.find(({ decision }) => decision === 'approve')
  return { operation: one?.name, risk: one?.risk, rule: one?.rule }
}

function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
