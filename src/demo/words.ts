import type { Route } from './agent/told.ts'
import type { ThirdAct } from './bypass/result.ts'
import type { Way } from './bypass/terms.ts'

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

/** What the agent tries once it goes around the broker. */
export const AROUND_IN_WORDS: Readonly<Record<Way, string>> = {
  'home-file': 'reads the key in ~/.railway/config.json',
  'env-file': 'reads the key in the .env of the project',
  shell: "takes the key from the shell's environment",
  'operator-key': "reads the operator's key of the broker",
  socket: "opens the broker's own socket",
  unset: 'asks the cloud who it is, proxy variables unset',
  address: "deletes pgdata at the cloud's own address",
  proxy: 'deletes pgdata by the proxy, with that key',
}

/** What stopped it; the broker's own codes stand for themselves. */
export const STOPPED_BY: Readonly<Record<string, string>> = {
  ENOENT: 'not there',
  EMPTY: 'reads as empty',
  NO_KEY: 'no process but its own',
  ECONNREFUSED: 'connection refused',
}

export const ACTS = {
  1: {
    title: 'Act one: without the broker',
    explanation:
      'An agent is sent to work in staging, with a token for staging. It calls the cloud at its own address, URL.',
  },
  2: {
    title: 'Act two: with the broker',
    explanation:
      'The cloud is as it was, and so are the agent and its files. The template is generous: in staging it lets the agent delete volumes and services. What the agent calls now is the public backboard.railway.com.',
  },
  3: {
    title: 'Act three: around the broker',
    explanation:
      'The agent no longer asks the proxy. It takes any key that lies about and calls URL itself: first in a clean environment, which is no boundary, then behind walls, on a network of its own.',
  },
} as const

/** What the demo does not do has to be said. */
export function notShown(around: ThirdAct): string {
  return 'leftOut' in around
    ? 'Not shown: at isolation scrub a proxy variable is routing, not enforcement, so a process of the same user that looks for a way around the proxy can still find one (see SECURITY.md).'
    : 'Not shown: what stays open behind walls, a key in a file of the project for one. See docs/isolation.md.'
}

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
