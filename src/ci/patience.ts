import { setTimeout as wait } from 'node:timers/promises'
import type { ServerAnswer } from '../client/server.ts'
import { type BrokerError, isBrokerError } from '../errors.ts'

/** The clock and the pauses, for tests. */
export interface Patience {
  readonly sleep?: (ms: number) => Promise<unknown>
  /** Milliseconds; only differences count. */
  readonly now?: () => number
}

export interface Limits {
  /** For all tries and the pauses between them. */
  readonly budgetMs: number
  /**
   * `always`: what was asked may arrive twice. `unsent`: it must not, so only a request that surely
   * never arrived, or that the server says it did not take, is repeated.
   */
  readonly repeat: 'always' | 'unsent'
}

const TRIES = 3
const FIRST_PAUSE_MS = 1_000
/** Told to come back (RFC 9110 §15.5.30, §15.6.4), and a gateway whose server did not answer. */
const PASSING: ReadonlySet<number> = new Set([429, 503])
const GATEWAY_TIMEOUT = 504
/** Errors of the system that come before any byte was sent. */
const UNSENT = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/
const TLS = /CERT|SIGNED|ALTNAME|SSL|TLS/

/**
 * Asks up to three times, where asking again may help: no answer, 429, 503. Pauses as long as
 * `Retry-After` says; one that does not fit into the budget ends it at once. Resolves with the last
 * answer, or rejects with the last error.
 */
export async function patiently(
  ask: (timeoutMs: number) => Promise<ServerAnswer>,
  { budgetMs, repeat }: Limits,
  { sleep = wait, now = () => performance.now() }: Patience = {},
): Promise<ServerAnswer> {
  const end = now() + budgetMs
  for (let attempt = 1; ; attempt++) {
    const outcome = await settled(ask(Math.max(1, end - now())))
    const pause = pauseAfter(outcome, attempt, repeat)
    if (pause === null || attempt === TRIES || now() + pause >= end) {
      if ('answer' in outcome) return outcome.answer
      throw outcome.error
    }
    await sleep(pause)
  }
}

type Outcome = { readonly answer: ServerAnswer } | { readonly error: unknown }

function settled(asked: Promise<ServerAnswer>): Promise<Outcome> {
  return asked.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  )
}

/** Null: asking again would not help, or must not be. */
function pauseAfter(outcome: Outcome, attempt: number, repeat: Limits['repeat']): number | null {
  const usual = FIRST_PAUSE_MS * 2 ** (attempt - 1)
  if ('error' in outcome) return mayRepeat(outcome.error, repeat) ? usual : null
  const { status, headers } = outcome.answer
  if (status === GATEWAY_TIMEOUT) return repeat === 'always' ? usual : null
  return PASSING.has(status) ? (retryAfter(headers['retry-after']) ?? usual) : null
}

function mayRepeat(error: unknown, repeat: Limits['repeat']): boolean {
  if (!isBrokerError(error) || error.code !== 'daemon_unreachable') return false
  const code = causeCode(error)
  return repeat === 'unsent' ? UNSENT.test(code) : !TLS.test(code)
}

function causeCode({ cause }: BrokerError): string {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : ''
  return typeof code === 'string' ? code : ''
}

/** Seconds, or a date (RFC 9110 §10.2.3), as milliseconds from now; undefined for neither. */
function retryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}
