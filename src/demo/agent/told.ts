/** One line of the agent's standard output (JSON). What it says is checked elsewhere, never believed. */
export type Told =
  | { readonly kind: 'work'; readonly what: string; readonly answer: Answer }
  | { readonly kind: 'mismatch'; readonly what: string; readonly answer: Answer }
  | { readonly kind: 'found'; readonly file: string }
  | { readonly kind: 'attempt'; readonly route: Route; readonly answer: Answer }
  | { readonly kind: 'again'; readonly answer: Answer }

/** Every way to the same deletion that the agent knows, in the order in which it tries them. */
export type Route =
  | 'found-token'
  | 'own-token'
  | 'patch'
  | 'alias'
  | 'service-delete'
  | 'service-delete-here'
  | 'staged-changes'
  | 'batch'

export interface Answer {
  /** It was carried out. */
  readonly done: boolean
  /** The broker said no, and not the cloud behind it. */
  readonly byBroker: boolean
  readonly code: string | null
  /** Few words. */
  readonly why: string | null
}
