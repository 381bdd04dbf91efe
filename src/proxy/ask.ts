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
  const route = await answered(() => gate.route(target), limits.routeMs, ended, 'egress_denied')
  if (route.kind === 'intercept' || route.kind === 'tunnel') return route
  throw refusalOf(route, 'egress_denied')
}

/**
 * Whether the request may go, or is answered here; throws as `askRoute` does, and with the signal's
 * reason when it fires.
 */
export async function askJudge(
  { gate, limits }: Engine,
  request: JudgedRequest,
  signal: AbortSignal,
): Promise<Allow | Inspect | Answer> {
  const verdict = await answered(
    () => gate.judge(request, signal),
    limits.judgeMs,
    signal,
    'operation_denied',
  )
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
  const verdict = await answered(
    () => messages(text, signal),
    limits.judgeMs,
    signal,
    'operation_denied',
  )
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

async function answered<T extends { kind: string }>(
  question: () => Promise<T>,
  timeoutMs: number,
  signal: AbortSignal,
  denial: Denial,
): Promise<T> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(
    () => reject(new Refused(denial, 'the broker did not decide in time')),
    timeoutMs,
  )
  // Not a race of promises: this runs for every request, and each promise less is felt.
  asked(question, denial).then(resolve, reject)
  try {
    const answer = await promise
    signal.throwIfAborted()
    if (typeof answer !== 'object' || answer === null) {
      throw new Refused(denial, 'the broker gave no clear answer')
    }
    return answer
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

async function asked<T>(question: () => Promise<T>, denial: Denial): Promise<T> {
  try {
    return await question()
  } catch (error) {
    throw new Refused(denial, 'the broker could not decide', error)
  }
}
