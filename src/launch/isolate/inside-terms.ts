/** What `beginInside` outside and the program inside have to agree on. */

/** Where our own things are inside. */
export const INSIDE = '/run/broker'

/**
 * A socket between the two. The program inside is told by one line what to run, and answers by one
 * line what became of it; where it runs, by a second one when it is over.
 */
export const ORDER_FD = 5

export const STARTED = 'started'

/** The second line, with the status: 128 + n for signal n. */
export const OVER = /^over (\d{1,3})$/

/** In its arguments: known before the command is. */
export interface InsideTerms {
  /** Addresses of the loopback that lead to unix sockets. None of them is a secret. */
  readonly relays: readonly {
    readonly host: string
    readonly port: number
    readonly path: string
  }[]
  /** The task is over when nothing of it runs any more, and not when its command is. */
  readonly waits?: boolean
}

/** The line: it holds the command's whole environment, so it is in no argument and in no environment of ours. */
export interface InsideOrder {
  readonly path: string
  readonly name: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Ways out besides those in the arguments: open before the command runs. */
  readonly relays?: InsideTerms['relays']
}
