// What the tests of the server share: one policy, and requests over TLS, also byte by byte.
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { JsonObject } from '../../src/lib/json.ts'
import { githubClaims } from '../fixtures/oidc-claims.ts'
import type { Served } from '../fixtures/serve.ts'

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'
export const LEASE_TOKEN = 'urn:broker:token-type:lease'

/** `deploy` is for the repository of `newToken`, `foreign` for another one. */
export const policy = (issuer: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
  production:
    api: { provider: jwt, audience: https://api.prod.example }
templates:
  deploy:
    environments: [ci]
    ttl: 15m
    who: [${rule(issuer, '456789')}]
    grants: { api: { allow: ["deploy:read", "deploy:write"] } }
  walled:
    environments: [production]
    isolation: mask
    who: [${rule(issuer, '456789')}]
    grants: { api: { allow: ["deploy:read"] } }
  foreign:
    environments: [ci]
    who: [${rule(issuer, '1')}]
    grants: { api: { allow: ["deploy:read"] } }
`

const rule = (issuer: string, repository: string) =>
  `{ oidc: { issuer: "${issuer}", claims: { repository_id: "${repository}", repository_owner_id: "123456", ref: refs/heads/main, event_name: push } } }`

let runs = 17_000_000_000

/** Of a run of its own, unless `changed` says otherwise. */
export function newToken(served: Served, changed: JsonObject = {}): Promise<string> {
  const run = { run_id: String(runs++), jti: randomUUID() }
  const claims = githubClaims(served.issuer.url, Date.now())
  return served.sign({ ...claims, aud: served.url, ...run, ...changed })
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said, for the test to look at
  readonly body: any
}

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly bearer?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  readonly form?: Readonly<Record<string, string>> | URLSearchParams | string
  /** Who asks: any address of 127.0.0.0/8. */
  readonly from?: string
}

/** One request on a connection of its own. */
export function ask(served: Served, asked: Ask): Promise<Answer> {
  const form = asked.form === undefined ? undefined : new URLSearchParams(asked.form).toString()
  const payload = form ?? (asked.json === undefined ? '' : JSON.stringify(asked.json))
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded'
  return new Promise((resolve, reject) => {
    const call = request({
      host: '127.0.0.1',
      port: served.port,
      ca: served.ca,
      agent: false,
      method: asked.method ?? 'GET',
      path: asked.path,
      ...(asked.from !== undefined && { localAddress: asked.from }),
      headers: {
        ...(payload !== '' && { 'content-type': type }),
        ...(asked.bearer !== undefined && { authorization: `Bearer ${asked.bearer}` }),
        'content-length': Buffer.byteLength(payload),
        ...asked.headers,
      },
    })
    call.once('error', reject)
    call.once('response', async (response) => {
      let text = ''
      response.setEncoding('utf8')
      for await (const chunk of response) text += chunk
      const { statusCode: status = 0, headers } = response
      resolve({ status, headers, text, body: parsed(text) })
    })
    call.end(payload)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The form of an exchange for `ci`. */
export const exchangeForm = (token: string, more: Readonly<Record<string, string>> = {}) => ({
  grant_type: EXCHANGE,
  subject_token: token,
  subject_token_type: ID_TOKEN,
  audience: 'ci',
  scope: 'template:deploy',
  ...more,
})

export const exchange = (
  served: Served,
  form: Readonly<Record<string, string>> | URLSearchParams,
  more: Partial<Ask> = {},
) => ask(served, { method: 'POST', path: '/oauth/token', form, ...more })

/** A connection that says only what it is told to. */
export class Raw {
  readonly socket: Socket
  #text = ''
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      this.#text += chunk
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  /** After the handshake; null when the server hangs up before it is done. */
  static async tls(served: Served, from = '127.0.0.1'): Promise<Raw | null> {
    const options = { host: '127.0.0.1', port: served.port, ca: served.ca, localAddress: from }
    const socket: TLSSocket = connect(options)
    const done = await new Promise<boolean>((resolve) => {
      socket.once('secureConnect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('close', () => resolve(false))
    })
    return done ? new Raw(socket) : null
  }

  /** TCP alone. */
  static tcp(served: Served): Raw {
    return new Raw(connectPlain(served.port, '127.0.0.1'))
  }

  get text(): string {
    return this.#text
  }

  write(text: string): void {
    this.socket.write(text)
  }
}
