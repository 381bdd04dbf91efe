import type { Json } from '../lib/json.ts'
import { JsonRefused } from '../lib/strict-json.ts'
import type { Classified, Refusal, RefusalCode, Verdict } from './guard.ts'
import type { Risk } from './risk.ts'

/** Thrown inside a guard to leave it; `decided` turns it into a `Refusal`. Never leaves the guard. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly refusal: Refusal

  constructor(
    code: RefusalCode,
    message: string,
    operation: string | null = null,
    risk: Risk | null = null,
  ) {
    super(message)
    this.refusal = { outcome: 'refused', code, message, operation, risk }
  }
}

export function malformed(message: string): Refused {
  return new Refused('request_malformed', message)
}

export function tooLarge(message: string): Refused {
  return new Refused('request_too_large', message)
}

/** What no catalogue knows may do anything, so it counts as `admin` and no rule reaches it. */
export function unknown(what: string, operation: string | null = null): Refused {
  return new Refused('operation_denied', `${what} is not known here`, operation, 'admin')
}

/** Quotes a name of the request for a message: shortened, and without what a terminal would obey. */
export function quote(name: string): string {
  return `"${name.replace(/[^\w.:/$@[\] -]/g, '?').slice(0, 80)}"`
}

/** Runs a reading of JSON: a text that strict reading does not take refuses the request. */
export function readingJson(read: () => Json): Json {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error
    throw error.about === 'size' ? tooLarge(error.message) : malformed(error.message)
  }
}

/** Runs a judgement. What it throws is a refusal too: a request that cannot be judged does not go. */
export function decided(judge: () => Classified): Verdict {
  try {
    return judge()
  } catch (error) {
    if (error instanceof Refused) return error.refusal
    return malformed('the request cannot be judged').refusal
  }
}
