// What the tests of `broker serve` share: policies, tokens of the test issuer, and requests as bytes on TLS.

import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { Agent, fetch } from 'undici'
import type { LeaseList, LeaseView } from '../../src/api/types.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { githubClaims } from '../fixtures/oidc-claims.ts'
import type { Served } from '../fixtures/serve.ts'

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const TYPE = {
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  lease: 'urn:broker:token-type:lease',
} as const

/** In `production` two templates let the job in; `closed` is for another repository. */
export const policy = (issuer: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
  production:
    api: { provider: jwt, audience: https://api.prod.example }
templates:
  deploy:
    environments: [ci]
    default: true
    ttl: 15m
    maxTtl: 1h
    who: [${rule(issuer, '456789')}]
    grants: { api: { allow: ["deploy:read", "deploy:write"] } }
  report:
    environments: [production]
    who: [${rule(issuer, '456789')}]
    grants: { api: { allow: ["report:write"] } }
  audit:
    environments: [production]
    who: [${rule(issuer, '456789')}]
    grants: { api: { allow: ["report:read"] } }
  release:
    environments: [ci]
    who: [${rule(issuer, '456789')}]
    grants: { api: { allow: ["deploy:write"] } }
  closed:
    environments: [ci]
    who: [${rule(issuer, '1')}]
    grants: { api: { allow: ["deploy:read"] } }
`

const rule = (issuer: string, repository: string) =>
  `{ oidc: { issuer: "${issuer}", claims: { repository_id: "${repository}", repository_owner_id: "123456", ref: refs/heads/main, event_name: push } } }`

/** A job of a run of its own, as GitHub tells it. */
export function jobClaims(issuer: string, audience: string, changed: JsonObject = {}): JsonObject {
  const run = { run_id: String(runs++), jti: randomUUID() }
  return { ...githubClaims(issuer, Date.now()), aud: audience, ...run, ...changed }
}

let runs = 17_000_000_000

/** The parameters of an exchange of that token for `ci`. */
export const exchangeOf = (token: string, more: Readonly<Record<string, string>> = {}) => ({
  grant_type: EXCHANGE,
  subject_token: token,
  subject_token_type: TYPE.idToken,
  audience: 'ci',
  ...more,
})

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** As it came. */
  readonly text: string
  readonly body: Readonly<Record<string, unknown>>
}

/** The leases of all time, newest first. */
export async function leasesOf(served: Served): Promise<readonly LeaseView[]> {
  const headers = { authorization: `Bearer ${served.operatorKey}` }
  const { body } = await post(served, '/v1/leases?state=all&limit=1000', '', {
    headers,
    method: 'GET',
  })
  return (body as unknown as LeaseList).leases
}

/** A call with a lease's own credential. */
export function withHandle(served: Served, path: string, handle: unknown): Promise<Reply> {
  const headers = { authorization: `Bearer ${handle}`, 'content-type': 'application/json' }
  return post(served, path, '{}', { headers })
}

export interface PostOptions {
  readonly method?: 'GET'
  readonly headers?: Readonly<Record<string, string>>
  /** Who asks: any address of 127.0.0.0/8. */
  readonly from?: string
}

/** One POST on a connection of its own. `form`: encoded here, or sent as it is. */
export function post(
  { port, ca }: { readonly port: number; readonly ca: string },
  path: string,
  form: Readonly<Record<string, string>> | string,
  { headers = {}, from, method }: PostOptions = {},
): Promise<Reply> {
  const text = typeof form === 'string' ? form : new URLSearchParams(form).toString()
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(`https://127.0.0.1:${port}${path}`, {
      method: method ?? 'POST',
      ca,
      agent: false,
      ...(from !== undefined && { localAddress: from }),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': Buffer.byteLength(text),
        ...headers,
      },
    })
    sent.once('error', reject)
    sent.once('response', (response) => {
      let got = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        got += piece
      })
      response.once('error', reject)
      response.once('end', () => {
        const { statusCode: status = 0, headers: fields } = response
        const body = got === '' ? {} : (JSON.parse(got) as Reply['body'])
        resolve({ status, headers: fields, text: got, body })
      })
    })
    sent.end(text)
  })
}

/** Has the server trust the issuers of another authority from now on. */
export async function trusting(served: Served, ca: string): Promise<Served> {
  writeFileSync(join(served.folder, 'issuer-ca.pem'), ca)
  await restart(served)
  return served
}

export async function restart(served: Served): Promise<void> {
  await served.stop()
  await served.launch()
}

type Fetch = (url: string, options: object) => Promise<Response>

/** `fetch` that believes this authority and no other. Close it. */
export function fetchWith(ca: string): { fetch: Fetch; close(): Promise<void> } {
  const dispatcher = new Agent({ connect: { ca } })
  const own = (url: string, options: object) => fetch(url, { ...options, dispatcher })
  return { fetch: own as unknown as Fetch, close: () => dispatcher.destroy() }
}
