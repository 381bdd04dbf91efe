import type { Operation, RequestFacts, Verdict } from '../../src/core/guard.ts'
import type { RestDefinition } from '../../src/core/rest/definition.ts'
import type { Guard } from '../../src/providers/guard.ts'
import type { Provider } from '../../src/providers/provider.ts'
import { createRest } from '../../src/providers/rest/provider.ts'
import { compile } from '../../src/templates/compile.ts'
import { readDocument } from '../../src/templates/read.ts'
import { CONTEXT } from './templates-fixture.ts'

/** One of everything that an operation can say. */
export const TICKETS = `    hosts: [api.tickets.example, eu.tickets.example]
    credential: { header: Authorization, scheme: bearer }
    phantom: { prefix: tk_live_, length: 40, charset: hex }
    variables: { TICKETS_TOKEN: "{credential}", TICKETS_URL: "https://api.tickets.example/v1/{workspace}" }
    environment: { in: path, name: workspace }
    check: { path: /v1/me }
    operations:
      - { name: tickets.list, method: [GET, HEAD], path: "/v1/{workspace}/tickets", risk: read, query: [page, status] }
      - { name: tickets.read, method: GET, path: "/v1/{workspace}/tickets/{id}", risk: read, target: { kind: ticket, id: id } }
      - { name: tickets.create, method: POST, path: "/v1/{workspace}/tickets", risk: write }
      - { name: tickets.delete, method: DELETE, path: "/v1/{workspace}/tickets/{id}", risk: destructive, target: { kind: ticket, id: id } }
      - { name: actions.run, method: POST, path: "/v1/{workspace}/actions", risk: write }
      - { name: tickets.purge, method: POST, path: "/v1/{workspace}/actions", risk: destructive, when: { /type: purge } }
      - { name: attachments.put, method: PUT, path: "/v1/{workspace}/files/{name}", risk: write, body: stream }
      - { name: imports.put, method: POST, path: "/v1/{workspace}/imports/{name}", risk: write, body: stream }
      - { name: photos.add, method: POST, path: "/v1/{workspace}/photos", risk: write, body: multipart }
      - { name: exports.cancel, method: POST, path: "/v1/{workspace}/exports/{id:number}:cancel", risk: write }
      - { name: search, method: GET, path: /v1/search, risk: read, environment: { in: query, at: ws } }
      - { name: reports.run, method: POST, path: /v1/reports, risk: execute, environment: { in: body, at: /scope/workspace } }
      - { name: hooks.send, method: POST, path: /v1/hooks, risk: write, environment: { in: header, at: X-Workspace }, body: form }
      - { name: me, method: GET, path: /v1/me, risk: read, environment: { in: none, reason: about the credential itself } }
`

export function documentOf(provider: string, name = 'tickets'): string {
  return `version: 1\nproviders:\n  ${name}:\n${provider}environments: {}\ntemplates: {}\n`
}

/** As `template apply` would store it. */
export function definitionOf(provider: string): RestDefinition {
  const { document, issues } = readDocument(documentOf(provider))
  const result = document && compile(document, CONTEXT)
  const definition = result?.configuration?.providers['tickets']
  if (!definition) throw new Error(JSON.stringify(result?.issues ?? issues, null, 1))
  return JSON.parse(JSON.stringify(definition)) as RestDefinition
}

export function providerOf(text: string): Provider {
  return createRest('tickets', definitionOf(text))
}

export function guardOf(provider: Provider): Guard {
  if (!provider.guard) throw new Error('there is no guard')
  return provider.guard
}

export interface Asked {
  readonly authority?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly type?: string
  readonly body?: string | Uint8Array
}

/** `GET /path?query` as the proxy shows it, the body only where the guard wants it. */
export function factsOf(line: string, asked: Asked = {}): RequestFacts {
  const space = line.indexOf(' ')
  const target = line.slice(space + 1)
  const mark = target.indexOf('?')
  const { type, body } = asked
  return {
    method: line.slice(0, space),
    authority: asked.authority ?? 'api.tickets.example',
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? null : target.slice(mark + 1),
    headers: [
      ...(type === undefined ? [] : ([['content-type', type]] as const)),
      ...(asked.headers ?? []),
    ],
    body: body === undefined ? null : Buffer.from(body),
  }
}

/** Asked as the gate asks: with the head first, with the body where that is wanted. */
export function judge(guard: Guard, line: string, asked: Asked = {}): Verdict {
  const whole = factsOf(line, { ...asked, body: asked.body ?? '' })
  const limit = guard.inspect({ ...whole, body: null })
  return guard.classify(limit === null ? { ...whole, body: null } : whole)
}

export function json(value: unknown): Asked {
  const body = typeof value === 'string' ? value : JSON.stringify(value)
  return { type: 'application/json', body }
}

export function operationsOf(verdict: Verdict): readonly Operation[] {
  if (verdict.outcome === 'refused') throw new Error(`${verdict.code}: ${verdict.message}`)
  return verdict.operations
}

/** `name in environment`, or `refused: code`. */
export function said(verdict: Verdict): string {
  if (verdict.outcome === 'refused') return `${verdict.code}: ${verdict.message}`
  return verdict.operations
    .map(({ name, environments }) => {
      const places = environments.map((source) => ('id' in source ? source.id : source.from))
      return `${name} in ${places.join('+')}`
    })
    .join(', ')
}
