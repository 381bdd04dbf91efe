import type { Readable } from 'node:stream'
import { askJudge, Patience } from './ask.ts'
import { arrived, readWhole } from './body.ts'
import type { Engine } from './engine.ts'
import { isFraming, isHop } from './fields.ts'
import type { Allow, Answer, JudgedRequest } from './gate.ts'
import { Refused } from './refusal.ts'

export interface Decision {
  readonly request: JudgedRequest
  readonly allow: Allow
}

export interface Answered {
  readonly request: JudgedRequest
  readonly answer: Answer['answer']
}

export interface BodySource {
  readonly stream: Readable
  /** The client sends it when it is told to, or earlier. */
  readonly waits: boolean
  /** Tells a client that waits for it to send the body. */
  proceed(): void
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * Asks the gate, reading the body for it where it wants that. Throws for every way the request may
 * not go. Nothing of the request has left when this returns.
 */
export async function decide(
  engine: Engine,
  head: JudgedRequest,
  body: BodySource,
  signal: AbortSignal,
): Promise<Decision | Answered> {
  const patience = new Patience(engine.limits.judgeMs, signal, 'operation_denied')
  // Nearly all bodies come along with their head: one question less.
  const came = body.waits ? undefined : arrived(body.stream, head.length)
  const request = came ? { ...head, body: came } : head
  try {
    const first = await askJudge(engine, request, patience)
    if (first.kind === 'answer') return { request, answer: writable(first) }
    if (first.kind === 'allow') {
      if (first.body !== undefined && !came) throw unclear()
      return { request, allow: checked(request, first) }
    }
    // A declared length over the limit needs no waiting.
    if (typeof request.length === 'number' && request.length > first.limit) {
      throw new Refused('request_too_large', 'the body is over the limit')
    }
    // It was shown all there is, and has to decide by that.
    if (came) throw unclear()
    body.proceed()
    const { inspectMs } = engine.limits
    const bytes = await readWhole(body.stream, request.length, first.limit, inspectMs, signal)
    const whole = { ...request, body: bytes }
    const second = await askJudge(engine, whole, patience)
    if (second.kind === 'answer') return { request: whole, answer: writable(second) }
    if (second.kind !== 'allow') throw unclear()
    return { request: whole, allow: checked(whole, second) }
  } finally {
    patience.end()
  }
}

const unclear = () => new Refused('operation_denied', 'the broker gave no clear answer')

const usable = (name: string, value: string) =>
  TOKEN.test(name) && !isHop(name) && !isFraming(name) && VALUE.test(value)

function checked({ upgrade }: JudgedRequest, allow: Allow): Allow {
  if (allow.messages !== undefined && upgrade === undefined) throw unclear()
  for (const [name, value] of allow.set ?? []) if (!usable(name, value.reveal())) throw unclear()
  return allow
}

/** Statuses whose answer ends with its head (RFC 9110 §15.3.5, §15.3.6, §15.4.5). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

/** A copy, so that what was checked is what is written. */
function writable({ answer }: Answer): Answer['answer'] {
  try {
    const { status, body } = answer
    const fields = answer.fields.map(([name, value]) => [name.toLowerCase(), value] as const)
    const fits =
      Number.isInteger(status) &&
      status >= 200 &&
      status <= 599 &&
      typeof body === 'string' &&
      !(BODILESS.has(status) && body !== '') &&
      fields.every(([name, value]) => typeof value === 'string' && usable(name, value))
    if (fits) return { status, fields, body }
  } catch {
    // Of a shape not listed: the same as no answer.
  }
  throw unclear()
}

/** The fields as they go upstream, names and values in turn. The one place where secrets are put in. */
export function outgoingFields(request: JudgedRequest, { remove = [], set = [] }: Allow): string[] {
  const gone = (name: string) => remove.includes(name) || set.some(([put]) => put === name)
  const fields: string[] = []
  for (const [name, value] of request.fields) if (!gone(name)) fields.push(name, value)
  for (const [name, value] of set) fields.push(name, value.reveal())
  return fields
}
