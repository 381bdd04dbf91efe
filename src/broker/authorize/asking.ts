import type { Question } from '../../providers/guard.ts'
import type { Connection, World } from '../../providers/provider.ts'
import { worldOf } from '../call.ts'
import type { Context } from '../context.ts'
import type { InTime } from './in-time.ts'
import type { TaskGrant } from './task.ts'

/** A lookup, and whatever a guard asks its provider while one request waits. */
const ASK_MS = 20_000

/**
 * What a guard is told when it asks its provider on behalf of one request. A class, for its getter: one
 * in an object literal gives each object a shape of its own, which holds on to all of the request until
 * the next full collection.
 */
export class Asking implements Question {
  readonly target: Question['target']
  readonly connection: Connection
  readonly fresh: boolean
  readonly #context: Context
  readonly #inTime: InTime

  constructor(
    context: Context,
    grant: TaskGrant,
    connection: Connection,
    inTime: InTime,
    fresh: boolean,
  ) {
    this.target = grant.target
    this.connection = connection
    this.fresh = fresh
    this.#context = context
    this.#inTime = inTime
  }

  /** Made on demand: most requests ask nobody, and each would leave a timer behind. */
  get world(): World {
    const signals = [this.#inTime.signal, AbortSignal.timeout(ASK_MS)]
    return worldOf(this.#context, AbortSignal.any(signals))
  }
}
