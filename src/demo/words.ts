import type { Route } from './agent/told.ts'

/** What the agent tries, for a reader. */
export const IN_WORDS: Readonly<Record<Route, string>> = {
  'found-token': 'deletes pgdata with the token it found',
  'own-token': 'deletes pgdata with its own token',
  patch: 'commits a patch that deletes pgdata',
  alias: 'deletes pgdata under an alias',
  'service-delete': 'deletes its service everywhere',
  'service-delete-here': 'deletes its service, naming staging',
  'staged-changes': 'commits what is staged: a deletion',
  batch: 'deletes pgdata within a batch',
}

/** The demo runs at the lowest rung, and what that does not do has to be said. */
export const NOT_SHOWN =
  'Not shown: at isolation scrub a proxy variable is routing, not enforcement, so a process of the same user that looks for a way around the proxy can still find one (see SECURITY.md).'

export const NEXT = 'Next: broker connect railway'

/** `volume shop/production pgdata 1204 MB on api at /x READY`, without what only a machine compares. */
export function gone(line: string): string {
  return line.replace(/ on \S+ at \S+ READY$/, '')
}

/** A refusal without what its line says anyway: the operation, ids, whose environment it is not. */
export function briefly(why: string): string {
  return why
    .replace(/^"\w+" was refused: /, '')
    .replace(/ \([0-9a-f]{8}-[0-9a-f-]{27}\)/g, '')
    .replace(/: not this task's environment$/, '')
}
