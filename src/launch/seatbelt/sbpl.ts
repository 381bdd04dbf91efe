import { BrokerError } from '../../errors.ts'

/**
 * Seatbelt's profile language as far as it is used here. It has no reference of Apple's; what is known of it
 * stands in the profiles under /System/Library/Sandbox/Profiles and in sandbox-exec(1). Of several rules for the
 * same operation that fit, the last one counts.
 */
export type Effect = 'allow' | 'deny'

/** Paths absolute and without links: the kernel compares with the real one. */
export const literal = (path: string): string => `(literal ${quoted(path)})`
export const subpath = (path: string): string => `(subpath ${quoted(path)})`
export const globalName = (name: string): string => `(global-name ${quoted(name)})`

/** One rule, or none where nothing is named: without a filter it would hold for everything. */
export function rule(effect: Effect, operations: string, filters: readonly string[]): string[] {
  if (filters.length === 0) return []
  return [`(${effect} ${operations}`, ...filters.map((filter) => `  ${filter}`), ')']
}

/** For everything. */
export function always(effect: Effect, operations: string): string {
  return `(${effect} ${operations})`
}

/**
 * A string of the language: a path may hold quotes, parentheses and semicolons, and none of them may end
 * it. Throws `isolation_unavailable` for characters whose escapes are not known for sure: a rule that means
 * another path protects nothing.
 */
export function quoted(text: string): string {
  if (hasControlCharacter(text)) {
    throw new BrokerError(
      'isolation_unavailable',
      `${JSON.stringify(text)} has a control character in its name and cannot be protected`,
      { hint: 'rename it, then start the task again' },
    )
  }
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\u007f')
}
