import type { Refusal, RefusalCode } from '../../../core/guard.ts'
import type { Risk } from '../../../core/risk.ts'

/** Thrown inside the guard to leave it; `classify` turns it into a `Refusal`. Never leaves the folder. */
export class Refused extends Error {
  readonly refusal: Refusal

  constructor(code: RefusalCode, message: string, operation?: string, risk?: Risk) {
    super(message)
    this.refusal = {
      outcome: 'refused',
      code,
      message,
      operation: operation ?? null,
      risk: risk ?? null,
    }
  }
}

export function malformed(message: string): Refused {
  return new Refused('request_malformed', message)
}

export function tooLarge(message: string): Refused {
  return new Refused('request_too_large', message)
}

/** What the catalogue does not know may do anything, so it counts as `admin` and no rule reaches it. */
export function unknown(what: string, operation?: string): Refused {
  return new Refused('operation_denied', `${what} is not known here`, operation, 'admin')
}

/** Quotes a name of the request for a message; names of GraphQL are ASCII and the rest is cut off. */
export function quote(name: string): string {
  return `"${name.replace(/[^\w.:$@ -]/g, '?').slice(0, 80)}"`
}
