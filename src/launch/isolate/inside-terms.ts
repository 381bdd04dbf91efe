/** What `startInside` outside and the program inside have to agree on. */

/** Where the program inside says what became of the command: one line. */
export const REPORT_FD = 5

export const STARTED = 'started'

export interface InsideTerms {
  /** Addresses of the loopback that lead to unix sockets. None of them is a secret. */
  readonly relays: readonly {
    readonly host: string
    readonly port: number
    readonly path: string
  }[]
  /** Variables of the command that Node itself would obey at its start, at a cost. */
  readonly variables: Readonly<Record<string, string>>
  readonly command: { readonly path: string; readonly name: string }
}

/** Kept from our own Node, which they would slow down or change, and given to the command. */
export const HELD_BACK: readonly string[] = [
  'NODE_USE_ENV_PROXY',
  'NODE_EXTRA_CA_CERTS',
  'NODE_OPTIONS',
  'NODE_COMPILE_CACHE',
  'NODE_V8_COVERAGE',
  'NODE_DEBUG',
  'NODE_PATH',
]
