import type { Classified, Operation } from '../../core/guard.ts'
import type { Question } from '../../providers/guard.ts'
import type { Connection } from '../../providers/provider.ts'
import type { JudgedRequest, MessageVerdict } from '../../proxy/gate.ts'
import type { Context } from '../context.ts'
import { classifiedOf, dependsOnLookups, unreadable } from './classified.ts'
import { type Denial, Denied, messageOf, problemOf } from './denial.ts'
import { denialOf } from './denial-of.ts'
import { factsOf } from './facts.ts'
import { InTime } from './in-time.ts'
import { refuseMisplaced } from './misplaced.ts'
import { advised } from './passing.ts'
import type { PlacedOperation } from './places.ts'
import type { Records } from './records.ts'
import { noteRenames } from './renames.ts'
import type { Task, TaskGrant } from './task.ts'
import type { RuledOperation } from './words.ts'

export type Ask = (fresh: boolean) => Question

/** An upgraded connection, and how the requests of its lease are judged. */
export interface Channel {
  /** The request that opened it. */
  readonly request: JudgedRequest
  readonly grant: TaskGrant
  /** What it was opened with: all its messages are carried out with that. */
  readonly credential: 'minted' | 'connection'
  readonly connection: () => Promise<Connection>
  readonly ask: (connection: Connection, inTime: InTime) => Ask
  /** Throws `Denied` for an operation that no rule allows. */
  readonly decide: (operations: readonly Operation[]) => readonly RuledOperation[]
  readonly locate: (
    operations: readonly Operation[],
    ask: Ask,
  ) => Promise<readonly PlacedOperation[]>
}

/** Close codes for who has no id to answer to (graphql-ws, PROTOCOL.md; RFC 6455 §7.4.2). */
const BAD_REQUEST = 4400
const FORBIDDEN = 4403

/**
 * Judges the messages of one connection by the same rules as requests. What takes a person's decision,
 * another credential or a turn cannot be had here: nobody sees when a message's work is done.
 */
export class ChannelJudge {
  readonly #context: Context
  readonly #task: Task
  readonly #records: Records
  readonly #channel: Channel
  #count = 0

  constructor(context: Context, task: Task, records: Records, channel: Channel) {
    this.#context = context
    this.#task = task
    this.#records = records
    this.#channel = channel
  }

  /**
   * Every answer is recorded before it is given, but for messages that run nothing. Rejects only with
   * the signal's reason.
   */
  readonly judge = async (text: string, signal: AbortSignal): Promise<MessageVerdict> => {
    const number = ++this.#count
    const inTime = new InTime(signal, this.#task.judgeMs)
    try {
      signal.throwIfAborted()
      return await this.#allow(text, number, inTime)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      return await this.#refuse(text, number, denialOf(error, this.#context.log))
    } finally {
      inTime.end()
    }
  }

  async #allow(text: string, number: number, inTime: InTime): Promise<MessageVerdict> {
    const { request, grant, credential, connection, ask, decide, locate } = this.#channel
    const opened = await connection()
    refuseMisplaced([text], grant, opened)
    const classified = this.#classify(text)
    const { forward, operations } = classified
    if (forward.kind !== 'body') throw unreadable()
    // Once more as it will be sent: written anew, no escape hides anything.
    refuseMisplaced([forward.text], grant, opened)
    const ruled = decide(operations)
    const question = ask(opened, inTime)
    const answer = await grant.guard.answer?.(factsOf(request), classified, question(false))
    if (typeof answer === 'string') throw unfit('it is answered by the broker itself')
    this.#refuseUnfit(classified, ruled)
    const placed = await locate(operations, question)
    inTime.throwIfOver()
    if (operations.length > 0) {
      const { name: provider } = grant.provider
      const facts = { grant, provider, ruled, placed, approval: null, credential }
      await this.#records.allowed(request, facts, number)
      noteRenames(this.#task, operations)
    }
    return { kind: 'forward', text: forward.text }
  }

  #classify(text: string): Classified {
    const { guard } = this.#channel.grant
    if (!guard.classifyMessage) throw unreadable()
    return classifiedOf(guard.classifyMessage(text))
  }

  #refuseUnfit(classified: Classified, ruled: readonly RuledOperation[]): void {
    const { grant, credential } = this.#channel
    const held = ruled.find(({ decision }) => decision === 'approve')
    if (held) throw unfit('a person has to approve it first', held)
    if (classified.needs.length > 0) throw unreadable()
    if (dependsOnLookups(classified)) {
      throw unfit('where it lies could change until it is carried out', ruled[0])
    }
    const narrow = credential === 'minted' && classified.operations.length > 0
    if (narrow && grant.guard.mintedSuffices?.(classified) === false) {
      throw unfit('the credential of this connection cannot do it', ruled[0])
    }
  }

  async #refuse(text: string, number: number, denial: Denial): Promise<MessageVerdict> {
    const { request, grant } = this.#channel
    await this.#records.denied(request, grant, grant.provider.name, denial, number)
    const { lease, environment } = this.#task
    const { passing } = grant
    const told = advised(denial, passing)
    const problem = problemOf(told, { lease, environment, allowed: passing.free })
    const error = { message: messageOf(told), extensions: problem }
    const answer = grant.guard.messageError?.(text, error) ?? null
    if (answer !== null) return { kind: 'answer', text: answer }
    const malformed = denial.code === 'request_malformed' || denial.code === 'request_too_large'
    return { kind: 'close', code: malformed ? BAD_REQUEST : FORBIDDEN, reason: denial.detail }
  }
}

function unfit(why: string, operation?: RuledOperation): Denied {
  const what = operation ? `"${operation.name}" (${operation.risk})` : 'this'
  return new Denied({
    code: 'operation_denied',
    detail: `${what} cannot go over a websocket: ${why}`,
    next: 'send it as a request of its own',
    operation: operation?.name,
    risk: operation?.risk,
    rule: operation?.rule,
  })
}
