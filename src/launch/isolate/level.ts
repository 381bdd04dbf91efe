import type { LeaseView } from '../../api/types.ts'

/** How far a task is kept apart from its machine. Each level holds all that the one before it does. */
export type Level = LeaseView['isolation']

export type IsolatedLevel = Exclude<Level, 'scrub'>

const ORDER: readonly Level[] = ['scrub', 'mask', 'confine']

/** True if `reached` is at least what `least` asks for. */
export function isAtLeast(reached: Level, least: Level): boolean {
  return ORDER.indexOf(reached) >= ORDER.indexOf(least)
}
