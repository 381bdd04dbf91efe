import type { RelayView } from '../api/session.ts'
import type { LeaseView, ProxyView } from '../api/types.ts'
import type { FarEnd } from '../client/far-end.ts'
import type { Secret } from '../lib/secret.ts'
import type { ExecOptions } from './parse.ts'

/** A lease of a server elsewhere: what of `exec` is different then. */
export interface Remote {
  readonly end: FarEnd
  /** As the person gave them, less what a server decides. */
  readonly options: ExecOptions
  /** Behind a command that a person is told to use: ` --server URL`. */
  readonly flag: string
  /** A refusal of the server's in words for this machine. */
  told(error: unknown): unknown
  /** Names of the caller's variables through which the job proves who it is; never in the command's environment. */
  readonly withheld: readonly string[]
  /** How the command finds the server. */
  readonly variables: Readonly<Record<string, string>>
  /** Opens the way to the lease's proxy, with its certificates in a folder of our own. Throws `internal`. */
  openRelay(relay: RelayView, lease: LeaseView, handle: Secret): Promise<OpenRelay>
}

export interface OpenRelay {
  readonly proxy: ProxyView
  /** Cuts every connection, and takes no new one. May be repeated. */
  close(): void
  /** The environment of a task with this proxy, so that the server itself is reached without it. */
  direct(environment: Readonly<Record<string, string>>): Record<string, string>
}
