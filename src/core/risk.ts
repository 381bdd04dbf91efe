/**
 * How much harm an operation can do. `read`; `secret`: reads credentials; `write`; `execute`: makes
 * code run there; `destructive`; `admin`: widens access. What a catalogue does not know is `admin`.
 */
export type Risk = 'read' | 'secret' | 'write' | 'execute' | 'destructive' | 'admin'

export const RISKS: readonly Risk[] = ['read', 'secret', 'write', 'execute', 'destructive', 'admin']

/** Risks that a glob in a rule never reaches: they have to be named exactly or by class. */
export const NEVER_BY_GLOB: ReadonlySet<Risk> = new Set([
  'secret',
  'execute',
  'destructive',
  'admin',
])

/** The operations a provider knows, by name, each with its risk. */
export interface Catalogue {
  /** Name → risk. Names are exact and case-sensitive. */
  readonly operations: ReadonlyMap<string, Risk>
  /**
   * True where the names are the user's own (the scopes of their own API): any well-formed name
   * is then accepted when written exactly. It never matches a glob, and counts as `write`.
   */
  readonly open: boolean
}
