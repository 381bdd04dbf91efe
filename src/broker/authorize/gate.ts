import type {
  EngineRefusal,
  Gate,
  JudgedRequest,
  Outcome,
  Route,
  Target,
  Verdict,
} from '../../proxy/gate.ts'
import type { Context } from '../context.ts'
import { type Denial, Denied, refusalOf } from './denial.ts'
import { denialOf } from './denial-of.ts'
import { factsOf } from './facts.ts'
import { Hosts, isListed, type KnownHost } from './hosts.ts'
import { InTime } from './in-time.ts'
import { Judge } from './judge.ts'
import { advised } from './passing.ts'
import { Records } from './records.ts'
import type { Task, TaskGrant } from './task.ts'

/**
 * Policy at the proxy: one gate for one lease (design §6). Every answer is recorded before it is
 * given; whatever goes wrong on the way is a refusal.
 */
export class LeaseGate implements Gate {
  readonly #context: Context
  readonly #task: Task
  readonly #hosts: Hosts
  readonly #records: Records
  readonly #judge: Judge

  constructor(context: Context, task: Task) {
    this.#context = context
    this.#task = task
    this.#hosts = new Hosts(context, task)
    this.#records = new Records(context, task)
    this.#judge = new Judge(context, task, this.#records)
  }

  async route(target: Target): Promise<Route> {
    const known = await this.#hosts.find(target.host)
    if (known && known.grants.length > 0) return { kind: 'intercept' }
    const { egress } = this.#task.template
    if (egress !== 'open' && !isListed(egress, target.host)) {
      const denial: Denial = {
        code: 'egress_denied',
        detail: `"${target.host}" is not among the hosts that template "${this.#task.template.name}" lists`,
        next: 'use a listed host, or ask the person to have it listed under egress',
      }
      await this.#records.egressDenied(target, denial.code)
      return { kind: 'refuse', refusal: this.#refusal(denial, undefined, false) }
    }
    if (known) return { kind: 'intercept' }
    // What cannot be named cannot be told from a known provider (design §6).
    return { kind: 'tunnel', withoutName: 'refuse', otherProtocols: 'refuse' }
  }

  async judge(request: JudgedRequest, signal: AbortSignal): Promise<Verdict> {
    let known: KnownHost | undefined
    const inTime = new InTime(signal, this.#task.judgeMs)
    try {
      signal.throwIfAborted()
      known = await this.#hosts.find(request.host)
      if (known) return await this.#judge.judge(request, known, inTime)
      if (request.route === 'tunnel') return { kind: 'allow' }
      throw new Denied({
        code: 'operation_denied',
        detail: `"${request.host}" is not a provider any more`,
        next: 'try again',
      })
    } catch (error) {
      // The client has gone, or the lease has ended: the engine knows, and nobody waits for words.
      if (signal.aborted) throw signal.reason
      const denial = denialOf(error, this.#context.log)
      const grant = this.#judge.grantOf(request.id) ?? known?.grants[0]
      await this.#records.denied(request, grant, known?.provider ?? null, denial)
      return { kind: 'refuse', refusal: this.#refusal(denial, grant, isGraphql(known, request)) }
    } finally {
      inTime.end()
      this.#judge.forget(request.id)
    }
  }

  outcome(outcome: Outcome): void {
    if (outcome.request) this.#judge.over(outcome.request.id)
    this.#records.ended(outcome)
  }

  refused(refusal: EngineRefusal): Promise<void> {
    return this.#records.engineRefused(refusal)
  }

  /** Writes down what has not been written yet. Call it after the listener was closed. */
  close(): Promise<void> {
    return this.#records.flush()
  }

  #refusal(denial: Denial, grant: TaskGrant | undefined, graphql: boolean) {
    const { lease, environment } = this.#task
    const allowed = grant ? grant.passing.free : []
    const told = advised(denial, grant?.passing)
    return refusalOf(told, { lease, environment, allowed, graphql })
  }
}

function isGraphql(known: KnownHost | undefined, request: JudgedRequest): boolean {
  return known?.guard.graphql?.(factsOf(request)) ?? false
}
