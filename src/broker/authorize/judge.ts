import type { Approval } from '../../core/approval.ts'
import { decideByRule } from '../../core/decide.ts'
import type { Classified, Operation, RequestFacts } from '../../core/guard.ts'
import { Secret } from '../../lib/secret.ts'
import type { Question } from '../../providers/guard.ts'
import type { Connection } from '../../providers/provider.ts'
import type { Allow, JudgedRequest, Verdict } from '../../proxy/gate.ts'
import { inLane } from '../call.ts'
import type { Context } from '../context.ts'
import { Asking } from './asking.ts'
import { type Ask, ChannelJudge } from './channel.ts'
import { classifiedOf, dependsOnLookups, unreadable } from './classified.ts'
import { findCredentials, isNone } from './credentials.ts'
import { Denied } from './denial.ts'
import { factsOf } from './facts.ts'
import { bindingOf, hold } from './holding.ts'
import type { KnownHost } from './hosts.ts'
import type { InTime } from './in-time.ts'
import { bytesOf, refuseMisplaced, textsOf } from './misplaced.ts'
import { Opened } from './opened.ts'
import { grantFor, refuseStrangers } from './ownership.ts'
import { type PlacedOperation, placeOperations } from './places.ts'
import type { Records } from './records.ts'
import { Remembered } from './remembered.ts'
import { noteRenames } from './renames.ts'
import type { Task, TaskGrant } from './task.ts'
import type { RuledOperation } from './words.ts'

/** For a body that would be streamed but has to be part of what a person approves. Bytes. */
const APPROVABLE_BODY = 32 * 1024 * 1024

/** Longer than the engine waits for an upstream's answer to begin. */
const LONGEST_TURN_MS = 330_000

/** Decides one lease's requests, in one order: whose credential, what operations, where, who approves. */
export class Judge {
  readonly #context: Context
  readonly #task: Task
  readonly #records: Records
  readonly #remembered = new Remembered()
  readonly #grants = new Map<number, TaskGrant>()
  /** Turns held by requests under way. */
  readonly #turns = new Map<number, () => void>()
  readonly #opened: Opened

  constructor(context: Context, task: Task, records: Records) {
    this.#context = context
    this.#task = task
    this.#records = records
    this.#opened = new Opened(context)
  }

  /** The grant that a request under judgement belongs to, once that is known. */
  grantOf(request: number): TaskGrant | undefined {
    return this.#grants.get(request)
  }

  forget(request: number): void {
    this.#grants.delete(request)
  }

  /** The request is through: whoever waits for its turn may go on. */
  over(request: number): void {
    this.#turns.get(request)?.()
    this.#turns.delete(request)
  }

  async judge(request: JudgedRequest, known: KnownHost, inTime: InTime): Promise<Verdict> {
    const { guard } = known
    const credentials = findCredentials(request, guard.carriers)
    // A key of somebody else's is what the person has to hear of first, whatever carries it.
    if (request.scheme !== 'https') {
      if (isNone(credentials)) throw plain(request)
      if (known.grants.length > 0) grantFor(known, credentials)
      else refuseStrangers(credentials, known.provider)
      throw plain(request)
    }
    if (known.grants.length === 0) {
      refuseStrangers(credentials, known.provider)
      if (request.upgrade !== undefined) throw unread()
      await this.#records.allowed(request, {
        grant: null,
        provider: known.provider,
        ruled: [],
        placed: [],
        approval: null,
        credential: 'none',
      })
      return { kind: 'allow' }
    }
    const grant = grantFor(known, credentials)
    this.#grants.set(request.id, grant)
    if (request.upgrade !== undefined && !guard.classifyMessage) throw unread()
    const head = factsOf(request, null)
    const limit = guard.inspect(head)
    // What would be streamed is judged without its body, whether that is there already or not.
    if (limit === null) return this.#judgeOwn(request, head, grant, inTime)
    const { body } = request
    if (body === undefined || body.byteLength > limit) return { kind: 'inspect', limit }
    return this.#judgeOwn(request, { ...head, body }, grant, inTime)
  }

  async #judgeOwn(
    request: JudgedRequest,
    facts: RequestFacts,
    grant: TaskGrant,
    inTime: InTime,
  ): Promise<Verdict> {
    const { guard } = grant
    const connection = await this.#opened.connection(grant)
    const ask = this.#ask(grant, connection, inTime)
    refuseMisplaced(textsOf(request, grant, facts.body), grant, connection)
    let classified = classifiedOf(this.#remembered.classify(guard, facts))
    // Once more as it will be sent: written anew, no escape hides anything.
    if (classified.forward.kind === 'body') {
      refuseMisplaced([classified.forward.text], grant, connection)
    }
    if (classified.forward.kind === 'channel' && request.upgrade !== undefined) {
      return this.#open(request, grant, classified, connection, inTime)
    }
    if (classified.forward.kind === 'channel' || request.upgrade !== undefined) throw unread()
    // What nobody may do is refused before the provider is asked anything on its behalf.
    let ruled = this.#decide(grant, classified.operations)
    if (classified.needs.length > 0) {
      classified = await this.#settle(grant, classified, ask(true))
      ruled = this.#decide(grant, classified.operations)
    }
    const answer = await guard.answer?.(facts, classified, ask(false))
    if (typeof answer === 'string') return this.#answer(request, grant, ruled, answer)
    const asks = ruled.some(({ decision }) => decision === 'approve')
    if (asks && classified.forward.kind === 'stream' && facts.body === null) {
      // A part of what is approved, so it is read after all.
      const { body } = request
      if (body === undefined) return { kind: 'inspect', limit: APPROVABLE_BODY }
      refuseMisplaced([bytesOf(body)], grant, connection)
    }
    const { operations } = classified
    let approval: Approval | null = null
    if (asks) {
      const placed = await this.#locate(grant, operations, asks, ask)
      const held = { request, grant, classified, ruled, placed }
      approval = await hold(this.#context, this.#task, held, inTime.signal)
    }
    // From here to the end of the call nothing else of this broker moves what is looked at.
    if (dependsOnLookups(classified)) await this.#takeTurn(request, grant, inTime)
    try {
      const placed = await this.#locate(grant, operations, asks, ask)
      const last = { request, grant, classified, ruled, placed }
      return await this.#allow(request, last, connection, approval, inTime)
    } catch (error) {
      this.over(request.id)
      throw error
    }
  }

  /** The handshake runs nothing; each message is then judged like a request. */
  async #open(
    request: JudgedRequest,
    grant: TaskGrant,
    classified: Classified,
    connection: Connection,
    inTime: InTime,
  ): Promise<Verdict> {
    const opening = { request, grant, classified, ruled: [], placed: [] }
    const allow = await this.#allow(request, opening, connection, null, inTime)
    const { judge } = new ChannelJudge(this.#context, this.#task, this.#records, {
      request,
      grant,
      credential: this.#credential(grant, classified),
      connection: async () => this.#opened.connection(grant),
      ask: (current, until) => this.#ask(grant, current, until),
      decide: (operations) => this.#decide(grant, operations),
      locate: (operations, ask) => this.#locate(grant, operations, false, ask),
    })
    return { ...allow, messages: judge }
  }

  #ask(grant: TaskGrant, connection: Connection, inTime: InTime): Ask {
    return (fresh) => new Asking(this.#context, grant, connection, inTime, fresh)
  }

  /**
   * Which one goes upstream. Nobody knows yet what a channel will be used for: it gets the narrower one,
   * and what that cannot do goes over no channel.
   */
  #credential({ guard, proxied }: TaskGrant, classified: Classified): 'minted' | 'connection' {
    if (!proxied.minted) return 'connection'
    if (classified.forward.kind === 'channel') return 'minted'
    return guard.mintedSuffices?.(classified) === false ? 'connection' : 'minted'
  }

  #decide(grant: TaskGrant, operations: readonly Operation[]): readonly RuledOperation[] {
    return operations.map(({ name, risk }) => {
      const { catalogue } = grant.provider
      const { decision, rule } = decideByRule(grant.rule, catalogue, name, this.#task.isProtected)
      if (decision !== 'deny') return { name, risk, decision, rule }
      throw new Denied({
        code: 'operation_denied',
        detail:
          rule === null
            ? `"${name}" (${risk}) is not among what template "${this.#task.template.name}" allows`
            : `"${name}" (${risk}) is denied by the template`,
        next: 'use an allowed operation; if the task needs this one, ask the person to do it or to widen the template',
        operation: name,
        risk,
        rule,
      })
    })
  }

  async #settle(grant: TaskGrant, classified: Classified, question: Question): Promise<Classified> {
    const { guard } = grant
    if (!guard.settle) throw unreadable()
    // First whether it is this task's environment at all: nothing is read of any other.
    await placeOperations(classified.operations, grant.place, async () => null)
    const settle = guard.settle.bind(guard)
    const settled = await inLane(this.#context, grant.connection, () =>
      settle(classified, question),
    )
    const known = classifiedOf(settled)
    if (known.needs.length > 0) throw unreadable()
    return known
  }

  #locate(
    grant: TaskGrant,
    operations: readonly Operation[],
    always: boolean,
    ask: Ask,
  ): Promise<readonly PlacedOperation[]> {
    const fresh = always || operations.some(({ risk }) => risk !== 'read' && risk !== 'write')
    return placeOperations(operations, grant.place, (resource) =>
      inLane(this.#context, grant.connection, () => grant.guard.locate(resource, ask(fresh))),
    )
  }

  async #allow(
    request: JudgedRequest,
    held: Parameters<typeof bindingOf>[1],
    connection: Connection,
    approval: Approval | null,
    inTime: InTime,
  ): Promise<Allow> {
    const { grant, classified, placed, ruled } = held
    const { guard, proxied } = grant
    const kind = this.#credential(grant, classified)
    const secret = kind === 'minted' ? proxied.minted : connection.secret
    if (!secret) throw new TypeError('a connection without a secret')
    const upstream = this.#opened.upstream(grant, connection, request.host)
    // The binding is computed again from what is true now: a target that moved fits no approval.
    const used = approval && { id: approval.id, binding: bindingOf(this.#task, held) }
    // Nobody waits for the answer any more: nothing may stand in the log as if it had gone.
    inTime.throwIfOver()
    await this.#records.allowed(request, {
      grant,
      provider: grant.provider.name,
      ruled,
      placed,
      approval: used,
      credential: kind,
    })
    noteRenames(this.#task, classified.operations)
    const { forward } = classified
    return {
      kind: 'allow',
      remove: guard.carriers.map(({ header }) => header),
      set: [
        ...guard.inject({ secret, kind, connection }),
        ...(forward.kind === 'body' ? [contentType(forward.contentType)] : []),
      ],
      ...(forward.kind === 'body' && { body: Buffer.from(forward.text) }),
      upstream,
    }
  }

  async #answer(
    request: JudgedRequest,
    grant: TaskGrant,
    ruled: readonly RuledOperation[],
    body: string,
  ): Promise<Verdict> {
    await this.#records.allowed(request, {
      grant,
      provider: grant.provider.name,
      ruled,
      placed: [],
      approval: null,
      credential: 'answered here',
    })
    const fields = [['content-type', 'application/json']] as const
    return { kind: 'answer', answer: { status: 200, fields, body } }
  }

  async #takeTurn(request: JudgedRequest, grant: TaskGrant, inTime: InTime): Promise<void> {
    // Of the whole project: what spans environments can be moved from each of them.
    const key = `${grant.provider.name} ${grant.place.project ?? grant.place.environment}`
    const release = await this.#context.turns.take(key, inTime.signal)
    this.#turns.set(request.id, release)
    // Whatever becomes of the request, those behind it do not wait for ever.
    setTimeout(() => this.over(request.id), LONGEST_TURN_MS).unref()
    // An answer that comes when the client has gone is never used, and has no outcome.
    inTime.asked.addEventListener('abort', () => this.over(request.id), { once: true })
    if (inTime.asked.aborted) this.over(request.id)
  }
}

function contentType(value: string): readonly [string, Secret] {
  return ['content-type', new Secret(value)]
}

function plain({ host }: JudgedRequest): Denied {
  return new Denied({
    code: 'operation_denied',
    detail: `plain http to "${host}" is not carried: it would show the credential to the network`,
    next: `use https://${host}`,
  })
}

/** Messages on it would pass unread, and a mutation is a message like any other. */
function unread(): Denied {
  return new Denied({
    code: 'operation_denied',
    detail: 'a websocket is not opened here: its messages could not be judged',
    next: 'send each operation as a request of its own; ask again instead of subscribing',
  })
}
