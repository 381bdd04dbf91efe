import type { Json } from '../../lib/json.ts'
import type { ClaimFailure } from './match.ts'

const SHOWN = 120

/** One line for the audit log and for who tests a template. Never for who presented the token. */
export function explainFailure({ claim, problem, expected, actual }: ClaimFailure): string {
  const name = show(claim)
  const wanted = expected.map(describe).join(' or ')
  switch (problem) {
    case 'missing':
      return `claim ${name} is missing, expected ${wanted}`
    case 'audiences':
      return `claim ${name} has to be the one audience ${wanted}, found ${describe(actual)}`
    case 'event':
      return `claim ${name} is ${describe(actual)}: outsiders can start such runs, and the rule does not name it`
    default:
      return `claim ${name} is ${describe(actual)}, expected ${wanted}`
  }
}

/** Text in quotes, so that nobody takes `"1"` for `1`. */
function describe(value: Json | undefined): string {
  if (typeof value === 'string') return show(value)
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value === 'boolean') return `the truth value ${value}`
  if (Array.isArray(value)) return `a list of ${value.length}`
  return value === null || value === undefined ? 'nothing' : 'an object'
}

/** Escaped and cut: a claim is text of a stranger. */
function show(text: string): string {
  const cut = text.length > SHOWN ? `${text.slice(0, SHOWN)}…`.toWellFormed() : text
  return JSON.stringify(cut).replaceAll(
    /[^\x20-\x7e…]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
