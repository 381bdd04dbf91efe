/** What the program that goes around the broker is told: everything, but no key. */
export interface Terms {
  readonly cloud: string
  /** PEM. */
  readonly ca: string
  readonly pgdata: string
  /** Stands in all that it sends, and in nothing else. */
  readonly mark: string
  /** SHA-256 (hex) of the one key it is after: what else lies about on this machine is left alone. */
  readonly wanted: string
  readonly homeFile: string
  readonly envFile: string
  /** Part of the project, under a name that says nothing. */
  readonly treeFile: string
  readonly operatorKey: string
  readonly socket: string
  /** The program that is started without proxy variables. */
  readonly unset: string
}

/** In the order in which they are tried. */
export type Way =
  | 'home-file'
  | 'env-file'
  | 'shell'
  | 'operator-key'
  | 'socket'
  | 'unset'
  | 'address'
  | 'proxy'

/** One line of its standard output (JSON). */
export type Tried =
  /** `code`: why it was of no use; null: it got there. */
  | { readonly kind: 'tried'; readonly way: Way; readonly code: string | null }
  /** No way of those had a key, so it takes the one in the project. */
  | { readonly kind: 'fallback' }
