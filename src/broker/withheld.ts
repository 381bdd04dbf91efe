import type { JsonObject } from '../lib/json.ts'

/**
 * Why something was really refused. The cause of an error that says less: it goes into the audit log,
 * and never to who asked.
 */
export class Withheld extends Error {
  override readonly name = 'Withheld'
  readonly reason: string
  readonly facts: JsonObject

  constructor(reason: string, facts: JsonObject = {}) {
    super(reason)
    this.reason = reason
    this.facts = facts
  }
}
