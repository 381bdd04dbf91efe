import type { Classified, RequestFacts, Verdict } from '../../core/guard.ts'
import { SecondTime } from '../../lib/second-time.ts'
import type { Guard } from '../../providers/guard.ts'

/** Requests. */
const KEPT = 32
/** Bytes of one body. Those who poll send less. */
const LONGEST_BODY = 64 * 1024
/** Bytes of all that is kept, near enough. */
const MOST = 512 * 1024
/** Bytes of one thing that an operation names, beside the text of its name. */
const THING = 100

interface Reading {
  readonly guard: Guard
  readonly facts: RequestFacts
  readonly classified: Classified
  readonly size: number
}

/**
 * What a guard read in the last few requests of one lease. Clients poll: the same request comes again
 * and again, byte for byte, and `classify` is pure. Only the reading is remembered; what it leads to is
 * decided, looked up, asked for and recorded afresh each time.
 *
 * Remembered is what comes a second time and only reads: what changes something may carry values that
 * nobody wants to have kept. Refusals are never remembered.
 */
export class Remembered {
  readonly #kept: Reading[] = []
  #size = 0
  /** Two that are taken for one cost a place and no more. */
  readonly #once = new SecondTime(KEPT)

  /** `guard.classify`, or what it said of the very same request before. Nobody can change it. */
  classify(guard: Guard, facts: RequestFacts): Verdict {
    const known = this.#kept.find((one) => one.guard === guard && isSame(one.facts, facts))
    if (known) return known.classified
    const verdict = guard.classify(facts)
    if (verdict.outcome === 'classified' && isReading(verdict) && this.#comesAgain(facts)) {
      this.#keep(guard, facts, verdict)
    }
    return verdict
  }

  #comesAgain({ body, ...head }: RequestFacts): boolean {
    return this.#once.has(JSON.stringify(head), body)
  }

  #keep(guard: Guard, facts: RequestFacts, classified: Classified): void {
    const size = sizeOf(facts, classified)
    if ((facts.body?.byteLength ?? 0) > LONGEST_BODY || size > MOST) return
    while (this.#kept.length > 0 && !this.#hasRoom(size)) {
      this.#size -= this.#kept.shift()?.size ?? 0
    }
    this.#kept.push({ guard, facts: copied(facts), classified: frozen(classified), size })
    this.#size += size
  }

  #hasRoom(size: number): boolean {
    return this.#kept.length < KEPT && this.#size + size <= MOST
  }
}

function isReading({ operations }: Classified): boolean {
  return operations.length > 0 && operations.every(({ risk }) => risk === 'read')
}

/**
 * Whether two requests are the same to a guard, part by part: nothing that it is shown is left out,
 * or one request would be taken for another. What differs soonest stands first.
 */
const SAME: {
  readonly [Part in keyof RequestFacts]: (one: RequestFacts, other: RequestFacts) => boolean
} = {
  body: (one, other) => isSameBody(one.body, other.body),
  path: (one, other) => one.path === other.path,
  query: (one, other) => one.query === other.query,
  method: (one, other) => one.method === other.method,
  authority: (one, other) => one.authority === other.authority,
  headers: (one, other) => isSameList(one.headers, other.headers),
}

const PARTS = Object.values(SAME)

function isSame(one: RequestFacts, other: RequestFacts): boolean {
  return PARTS.every((same) => same(one, other))
}

function isSameBody(one: Uint8Array | null, other: Uint8Array | null): boolean {
  // Not read and empty are two things.
  if (one === null || other === null) return one === other
  return one.byteLength === other.byteLength && Buffer.compare(one, other) === 0
}

function isSameList(one: RequestFacts['headers'], other: RequestFacts['headers']): boolean {
  return (
    one.length === other.length &&
    one.every(([name, value], at) => name === other[at]?.[0] && value === other[at]?.[1])
  )
}

/** The caller's own may live in a larger buffer, and change. */
function copied({ headers, body, ...rest }: RequestFacts): RequestFacts {
  const fields = headers.map(([name, value]) => [name, value] as const)
  return { ...rest, headers: fields, body: body && new Uint8Array(body) }
}

function sizeOf({ path, query, headers, body }: RequestFacts, classified: Classified): number {
  const { forward, operations } = classified
  const head = headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  const things = operations.flatMap((one) => [...one.resources, ...one.environments]).length
  return (
    path.length +
    (query?.length ?? 0) +
    head +
    (body?.byteLength ?? 0) +
    (forward.kind === 'body' ? forward.text.length : 0) +
    things * THING
  )
}

/** All the way down; there are no circles in it. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}
