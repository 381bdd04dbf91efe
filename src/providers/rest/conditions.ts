import { malformed, quote } from '../../core/refused.ts'
import type { Json } from '../../lib/json.ts'
import { fold, valueAt } from './pointer.ts'

/** One entry of `when`, with its pointer read. */
export interface Condition {
  readonly steps: readonly string[]
  readonly value: string | number | boolean | null
}

/**
 * Whether the body is what all conditions say. Compared exactly, type and all; a value that only
 * resembles the one looked for is refused, since a server may take it for that.
 */
export function isMet(conditions: readonly Condition[], body: Json | undefined): boolean {
  // Each is looked at, so that what is refused does not depend on their order.
  return conditions.map((condition) => holds(condition, body)).every(Boolean)
}

function holds({ steps, value: wanted }: Condition, body: Json | undefined): boolean {
  const value = valueAt(body, steps) ?? null
  const name = quote(steps.join('.'))
  if (typeof value === 'object' && value !== null) {
    throw malformed(`${name} of the body is not a plain value`)
  }
  if (value === wanted) return true
  if (value !== null && fold(String(value)) === fold(String(wanted))) {
    throw malformed(`${name} of the body is written in an unusual way`)
  }
  return false
}
