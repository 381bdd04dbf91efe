import type { JsonObject } from '../../lib/json.ts'
import type { EngineRefusal, JudgedRequest, Outcome, Target } from '../../proxy/gate.ts'
import type { RequestRecord } from '../../store/records.ts'
import type { Writer } from '../../store/store.ts'
import { useApproval } from '../approval/use.ts'
import type { Context } from '../context.ts'
import { type Denial, Denied } from './denial.ts'
import { Outcomes } from './outcomes.ts'
import type { PlacedOperation } from './places.ts'
import { recordSparing, writeSparing } from './spare.ts'
import type { Task, TaskGrant } from './task.ts'
import { operationFacts, type RuledOperation } from './words.ts'

export interface AllowedFacts {
  readonly grant: TaskGrant | null
  readonly provider: string
  readonly ruled: readonly RuledOperation[]
  readonly placed: readonly PlacedOperation[]
  readonly approval: { readonly id: string; readonly binding: string } | null
  /** Which credential goes upstream; `none`: the request carried none and gets none. */
  readonly credential: 'minted' | 'connection' | 'none' | 'answered here'
}

/**
 * What is written down of a task's requests: the decision before anything leaves, the outcome after.
 * Method, host, names, places and rules; never a path, a query, a field or a body, which may hold secrets.
 */
export class Records {
  readonly #context: Context
  readonly #task: Task
  readonly #outcomes: Outcomes
  /** Requests whose decision said `allowed`, until their outcome. */
  readonly #open = new Map<number, string | null>()

  constructor(context: Context, task: Task) {
    this.#context = context
    this.#task = task
    this.#outcomes = new Outcomes(context)
  }

  /**
   * Resolves when the decision is durable. In the same transaction it is made sure that the lease
   * is still active, and an approval is used up: whichever comes first, revocation or request, the
   * other sees it. Throws `Denied` when the lease has ended. `message`: which one it is of those that
   * came on the request's connection.
   */
  async allowed(request: JudgedRequest, facts: AllowedFacts, message?: number): Promise<void> {
    const { lease } = this.#task
    const { grant, provider, ruled, placed, approval, credential } = facts
    const { id, host, port, method, protocol, upgrade } = request
    // Its keys stand as canonical JSON has them: then nothing has to be sorted.
    const data: JsonObject = {
      ...(approval !== null && { approval: approval.id }),
      credential,
      environment: this.#task.environment,
      grant: grant?.name ?? null,
      host,
      ...(message !== undefined && { message }),
      method,
      ...operationFacts(ruled, placed),
      port,
      protocol,
      provider,
      request: id,
      ...(upgrade !== undefined && { upgrade }),
      verdict: 'allowed',
    }
    // Earlier outcomes go along in the same commit rather than in one of their own.
    void this.#outcomes.flush()
    // By the clock as well: whoever ends leases may be late, after a sleep for instance.
    if (this.#context.now() >= this.#task.expiresAt) throw ended(lease)
    const entry = { type: 'request.allowed', lease, data } as const
    const counted = approval === null ? 'allowed' : 'approved'
    const count = grant && ({ lease, grant: grant.name, counted } as const)
    const record = { entry, whileActive: lease, ...(count !== null && { count }) }
    const written =
      approval === null
        ? await recordSparing(this.#context, [record])
        : await writeSparing(this.#context, async (writer) => {
            // Before anything else: of a lease that has ended no approval is used up.
            if ((await writer.state(lease)) !== 'active') return false
            await useApproval(this.#context, writer, approval.id, lease, approval.binding)
            await append(writer, record)
            return true
          })
    if (!written) throw ended(lease)
    // The connection is there already, or over by now.
    if (message === undefined) this.#open.set(request.id, grant?.name ?? null)
  }

  async denied(
    request: JudgedRequest,
    grant: TaskGrant | undefined,
    provider: string | null,
    denial: Denial,
    message?: number,
  ): Promise<void> {
    const { lease } = this.#task
    const { foreign } = denial
    const fingerprint = foreign === undefined ? undefined : this.#context.fingerprint(foreign)
    const data: JsonObject = {
      ...whereOf(request, message),
      grant: grant?.name ?? null,
      provider,
      verdict: 'denied',
      environment: this.#task.environment,
      code: denial.code,
      operation: denial.operation ?? null,
      risk: denial.risk ?? null,
      rule: denial.rule ?? null,
      detail: denial.detail,
      ...(denial.approval !== undefined && { approval: denial.approval }),
      ...(fingerprint !== undefined && { fingerprint }),
    }
    const entry = { type: 'request.denied', lease, data } as const
    const count = grant && ({ lease, grant: grant.name, counted: 'denied' } as const)
    const record = count ? { entry, count } : { entry }
    const recording =
      fingerprint === undefined
        ? recordSparing(this.#context, [record])
        : writeSparing(this.#context, async (writer) => {
            await append(writer, record)
            await writer.noteForeign(lease, request.host, fingerprint, this.#context.now())
          })
    await recording
      // A refusal that cannot be recorded is still a refusal.
      .catch((error: unknown) => this.#context.log.error('a refusal could not be recorded', error))
  }

  async egressDenied({ host, port, from }: Target, code: string): Promise<void> {
    const data = { host, port, from, code, verdict: 'denied' }
    const entry = { type: 'egress.denied', lease: this.#task.lease, data } as const
    await recordSparing(this.#context, [{ entry }]).catch((error: unknown) =>
      this.#context.log.error('a refusal could not be recorded', error),
    )
  }

  /** What the engine turned away by itself; its words name at most a host. */
  async engineRefused({ code, detail, request, target }: EngineRefusal): Promise<void> {
    const where = request ?? target
    const data: JsonObject = {
      host: where?.host ?? null,
      port: where?.port ?? null,
      method: request?.method ?? null,
      request: request?.id ?? null,
      verdict: 'denied',
      code,
      detail,
    }
    const type = code === 'egress_denied' ? 'egress.denied' : 'request.denied'
    this.#outcomes.add({ type, lease: this.#task.lease, data })
  }

  ended(outcome: Outcome): void {
    const { request } = outcome
    // Tunnels and plain requests to other hosts are nobody's operations.
    if (!request || !this.#open.has(request.id)) return
    const grant = this.#open.get(request.id) ?? null
    this.#open.delete(request.id)
    this.#outcomes.add({
      type: 'request.ended',
      lease: this.#task.lease,
      data: {
        bytesDown: outcome.bytesDown,
        bytesUp: outcome.bytesUp,
        durationMs: Math.round(outcome.durationMs),
        end: outcome.end,
        grant,
        request: request.id,
        status: outcome.status ?? null,
      },
    })
  }

  flush(): Promise<void> {
    return this.#outcomes.flush()
  }
}

async function append(writer: Writer, { entry, count }: RequestRecord): Promise<void> {
  await writer.append(entry)
  if (count) await writer.countRequest(count.lease, count.grant, count.counted)
}

function whereOf(request: JudgedRequest, message: number | undefined): JsonObject {
  const { id, host, port, method, protocol, upgrade } = request
  return {
    ...{ request: id, host, port, method, protocol },
    ...(upgrade !== undefined && { upgrade }),
    ...(message !== undefined && { message }),
  }
}

function ended(lease: string): Denied {
  return new Denied({
    code: 'lease_ended',
    detail: `lease ${lease} has ended`,
    next: 'start a new task: this one is over',
  })
}
