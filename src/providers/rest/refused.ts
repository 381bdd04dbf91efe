import type { Classified, Refusal, RefusalCode, Verdict } from '../../core/guard.ts'

/** Thrown inside the guard to leave it; `decided` turns it into a `Refusal`. Never leaves the folder. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly refusal: Refusal

  constructor(code: RefusalCode, message: string, known: Partial<Refusal> = {}) {
    super(message)
    this.refusal = { outcome: 'refused', code, message, operation: null, risk: null, ...known }
  }
}

export function malformed(message: string): Refused {
  return new Refused('request_malformed', message)
}

export function tooLarge(message: string): Refused {
  return new Refused('request_too_large', message)
}

/** What no operation describes may do anything, so it counts as `admin` and no rule reaches it. */
export function unknown(what: string, operation: string | null = null): Refused {
  return new Refused('operation_denied', `${what} is not known here`, { operation, risk: 'admin' })
}

/** Quotes a name of the request for a message: shortened, and without what a terminal would obey. */
export function quote(name: string): string {
  return `"${name.replace(/[^\w.:/$@[\] -]/g, '?').slice(0, 80)}"`
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
