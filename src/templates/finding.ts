import type { Issue } from '../api/types.ts'
import { nearest } from '../core/names.ts'

/** Where in a document: object keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/** An issue before it has a position and a suggestion. */
export interface Finding {
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly path: Path
  /** Which end of `key: value` to point at. */
  readonly at: 'key' | 'value'
  /** The word that is wrong and what could have been meant; or what was meant, when that is known. */
  readonly near?: { readonly word: string; readonly candidates: Iterable<string> } | string
  /** Where a path cannot say it, e.g. for the second of two equal keys. */
  readonly position?: Position
}

/** From 1, as editors count. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Finds the place of a path; of its nearest existing parent, where the path leads to nothing. */
export type Locate = (path: Path, at: 'key' | 'value') => Position

/** More than a person reads at once, and a bound on the work for a file made to cost us time. */
const MOST = 100

/** In order of position, each place and message once, and with a count in place of the rest. */
export function toIssues(findings: readonly Finding[], locate: Locate): readonly Issue[] {
  const placed = findings.map((finding) => ({
    finding,
    ...(finding.position ?? locate(finding.path, finding.at)),
  }))
  placed.sort((a, b) => a.line - b.line || a.column - b.column)
  const seen = new Set<string>()
  const unique = placed.filter(({ finding, line, column }) => {
    const id = `${line}:${column}:${finding.message}`
    return !seen.has(id) && seen.add(id)
  })
  // An error beyond the bound must still count as one: errors come first when there are too many.
  const kept = unique.length > MOST ? mostImportant(unique) : unique
  const issues = kept.map(({ finding, line, column }) => toIssue(finding, { line, column }))
  const rest = unique[MOST]
  if (!rest) return issues
  const { line, column } = rest
  const message = `${unique.length - MOST} more problems are not shown`
  return [...issues, { severity: 'warning', message, line, column, path: '', suggestion: null }]
}

function mostImportant<T extends { readonly finding: Finding }>(placed: readonly T[]): T[] {
  const errors = placed.filter(({ finding }) => finding.severity === 'error')
  return (errors.length > 0 ? errors : placed).slice(0, MOST)
}

function toIssue(finding: Finding, position: Position): Issue {
  const { severity, message, path, near } = finding
  const suggestion =
    near === undefined || typeof near === 'string'
      ? (near ?? null)
      : nearest(near.word, near.candidates)
  return { severity, message, ...position, path: path.join('.'), suggestion }
}
