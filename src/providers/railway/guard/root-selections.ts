import type { FieldNode } from 'graphql'
import { tooLarge } from '../../../core/refused.ts'
import { LIMITS } from './limits.ts'
import type { Reach } from './reach.ts'
import { type Judging, judgeBelow, type KnownField } from './selections.ts'

/** What was found below a root field without looking at a variable. */
interface Lasting {
  readonly depth: number
  readonly secrets: readonly string[]
  readonly selections: number
}

/** By the node itself: one document is of one kind, so the same root field always leads to the same place. */
export type Below = Map<FieldNode, Lasting>

export interface RootJudging extends Judging {
  /** Null where the document is not kept: nothing is known of it, and nothing need be. */
  readonly below: Below | null
}

/**
 * `judgeBelow` for a root field. Most selections hold no variable: whatever is judged of them then
 * holds for every request with this document, and is judged once. Refusals are judged anew each time.
 */
export function judgeBelowRoot(
  field: KnownField,
  reach: Reach | null,
  judging: RootJudging,
  secret: (name: string) => void,
): void {
  const { seen, variables, below } = judging
  const known = below?.get(field.node)
  // In a fragment that is spread twice the same field may stand at two depths.
  if (known?.depth === field.depth) {
    seen.count += known.selections
    if (seen.count > LIMITS.selections) throw tooLarge('the document unfolds too far')
    known.secrets.forEach(secret)
    return
  }
  if (!below) {
    judgeBelow(field, reach, judging, secret)
    return
  }
  const before = { selections: seen.count, lookedUp: variables.lookedUp.count }
  const secrets: string[] = []
  judgeBelow(field, reach, judging, (name) => secrets.push(name))
  secrets.forEach(secret)
  if (variables.lookedUp.count > before.lookedUp) return
  const selections = seen.count - before.selections
  below.set(field.node, { depth: field.depth, secrets: [...new Set(secrets)], selections })
}
