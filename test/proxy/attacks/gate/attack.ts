import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import type { Json } from '../../../../src/lib/json.ts'

/**
 * One attack as data. A name in guillemets, `«pgdata»`, stands for what the test's cloud and leases
 * have under it; after a colon stands how it is written: `«accountToken:percent»`.
 */
export interface GateAttack {
  readonly name: string
  readonly family: Family
  readonly code: DenialCode
  readonly send: Sending
  /**
   * `wide`: every operation is allowed by its name, so that nothing but the credential, the form and
   * the place stand in the way. `narrow`: reading and two operations. `writer`: all that only reads or
   * changes, so that what is worse for what it holds stands out. `listed`: few hosts.
   */
  readonly lease: LeaseKind
  /** What the refusal has to say, besides its code. */
  readonly detail?: RegExp
  /** What somebody staged in the environment before. */
  readonly staged?: { readonly environment: string; readonly patch: Json }
}

export type Family =
  | 'graphql'
  | 'rest'
  | 'framing'
  | 'authority'
  | 'auth'
  | 'credentials'
  | 'websocket'
  | 'size'

export type LeaseKind = 'wide' | 'narrow' | 'writer' | 'listed'

export type Sending = HttpSending | RawSending

/** A well-formed request; its framing is written by the one who sends it. */
export interface HttpSending {
  readonly kind: 'http/1.1' | 'h2'
  readonly method: string
  readonly path: string
  readonly host: string
  /** In this order. Pseudo-headers of HTTP/2 stand here where an attack sets them. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Uint8Array
}

/** Bytes, each character one of them. `«length»` is the number of bytes behind the first blank line. */
export interface RawSending {
  readonly kind: 'raw'
  /** `tls`: inside TLS after CONNECT. `plain`: after CONNECT. `proxy`: to the listener itself. */
  readonly via: 'tls' | 'plain' | 'proxy'
  /** Of the CONNECT. */
  readonly to: string
  /** The name in the ClientHello, where it is another. */
  readonly servername?: string
  readonly bytes: string
}

export const API = 'backboard.railway.com'
export const PHANTOM = ['project-access-token', '«phantom»'] as const
export const JSON_TYPE = ['content-type', 'application/json'] as const

/** A request to the API as its clients write it; `changes` is the attack. */
export function post(body: string | Uint8Array, changes: Partial<HttpSending> = {}): HttpSending {
  return {
    kind: 'http/1.1',
    method: 'POST',
    path: '/graphql/v2',
    host: API,
    headers: [JSON_TYPE, PHANTOM],
    body,
    ...changes,
  }
}

export function document(query: string, variables?: Json): HttpSending {
  return post(JSON.stringify(variables === undefined ? { query } : { query, variables }))
}

/** The incident itself, to be hidden in one way or another. */
export const WIPE = 'mutation{volumeDelete(volumeId:"«pgdata»")}'
export const WIPE_BODY = JSON.stringify({ query: WIPE })
export const PING = '{"query":"{__typename}"}'

/** The head of a raw request to the API, up to its blank line. */
export function head(fields: string, line = 'POST /graphql/v2 HTTP/1.1'): string {
  return `${line}\r\nHost: ${API}\r\nContent-Type: application/json\r\nProject-Access-Token: «phantom»\r\n${fields}\r\n`
}

export function raw(bytes: string, changes: Partial<RawSending> = {}): RawSending {
  return { kind: 'raw', via: 'tls', to: `${API}:443`, bytes, ...changes }
}
