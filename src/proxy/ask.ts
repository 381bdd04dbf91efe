import type { Engine } from './engine.ts'
import type {
  Allow,
  Answer,
  Inspect,
  JudgedRequest,
  MessageVerdict,
  Refusal,
  Route,
  Target,
  Tunnel,
  Verdict,
} from './gate.ts'
import { Refused } from './refusal.ts'

/** Thrown to carry the gate's own refusal to the place that answers. */
export class GateRefused extends Error {
  override readonly name = 'GateRefused'
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super('the gate refused')
    this.refusal = refusal
  }
}

/** Where the target may go; throws for a refusal, and for everything that is not a clear answer. */
export async function askRoute(
  { gate, limits, ended }: Engine,
  target: Target,
): Promise<{ readonly kind: 'intercept' } | Tunnel> {
  const patience = new Patience(limits.routeMs, ended, 'egress_denied')
  const route = await patience.once(() => gate.route(target))
  if (route.kind === 'intercept' || route.kind === 'tunnel') return route
  throw refusalOf(route, 'egress_denied')
}

/**
 * Whether the request may go, or is answered here; throws as `askRoute` does, and with the signal's
 * reason when it fires.
 */
export async function askJudge(
  { gate }: Engine,
  request: JudgedRequest,
  patience: Patience,
): Promise<Allow | Inspect | Answer> {
  const verdict = await patience.ask(() => gate.judge(request, patience.signal))
  if (verdict.kind === 'allow' || verdict.kind === 'answer') return verdict
  if (verdict.kind === 'inspect' && Number.isSafeInteger(verdict.limit)) return verdict
  throw refusalOf(verdict, 'operation_denied')
}

/** The same for one message of a client; throws for everything that is not a clear answer. */
export async function askMessage(
  { limits }: Engine,
  messages: NonNullable<Allow['messages']>,
  text: string,
  signal: AbortSignal,
): Promise<MessageVerdict> {
  const patience = new Patience(limits.judgeMs, signal, 'operation_denied')
  const verdict = await patience.once(() => messages(text, signal))
  const { kind } = verdict
  if ((kind === 'forward' || kind === 'answer') && typeof verdict.text === 'string') return verdict
  if (kind === 'close' && isCloseCode(verdict.code) && typeof verdict.reason === 'string') {
    return verdict
  }
  throw new Refused('operation_denied', 'the broker gave no clear answer')
}

/** Those that an application may send (RFC 6455 §7.4.2). */
const isCloseCode = (code: number) =>
  Number.isInteger(code) && (code === 1000 || (code >= 3000 && code <= 4999))

type Denial = 'egress_denied' | 'operation_denied'

function refusalOf(answer: Route | Verdict, denial: Denial): Error {
  if (answer.kind === 'refuse' && answer.refusal) return new GateRefused(answer.refusal)
  return new Refused(denial, 'the broker gave no clear answer')
}

/**
 * How long the gate is waited for, and for whom. The questions about one request share a timer and a
 * listener: they come one after the other, and each timer less is felt.
 */
export class Patience {
  readonly signal: AbortSignal
  readonly #timeoutMs: number
  readonly #denial: Denial
  #timer: NodeJS.Timeout | undefined
  #reject: (reason: unknown) => void = () => {}

  constructor(timeoutMs: number, signal: AbortSignal, denial: Denial) {
    this.#timeoutMs = timeoutMs
    this.signal = signal
    this.#denial = denial
  }

  /** Throws the signal's reason, or a denial for whatever is no answer. One question at a time. */
  async ask<T extends { kind: string }>(question: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted()
    this.#begin()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#reject = reject
    const failed = (error: unknown) => reject(this.#refused('the broker could not decide', error))
    // Not a race of promises: this runs for every request, and each promise less is felt.
    try {
      question().then(resolve, failed)
    } catch (error) {
      failed(error)
    }
    const answer = await promise
    this.signal.throwIfAborted()
    if (typeof answer !== 'object' || answer === null) {
      throw this.#refused('the broker gave no clear answer')
    }
    return answer
  }

  /** The same where there is but one question. */
  async once<T extends { kind: string }>(question: () => Promise<T>): Promise<T> {
    try {
      return await this.ask(question)
    } finally {
      this.end()
      this.signal.removeEventListener('abort', this.#onAbort)
    }
  }

  /** Nothing more is asked. The listener stays: the signal of a request ends along with it. */
  end(): void {
    clearTimeout(this.#timer)
  }

  #begin(): void {
    if (this.#timer) {
      this.#timer.refresh()
      return
    }
    this.signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#timer = setTimeout(this.#onLate, this.#timeoutMs)
  }

  // Between two questions they reject what is settled, which does nothing.
  readonly #onAbort = () => this.#reject(this.signal.reason)
  readonly #onLate = () => this.#reject(this.#refused('the broker did not decide in time'))

  #refused(detail: string, cause?: unknown): Refused {
    return new Refused(this.#denial, detail, cause)
  }
}
