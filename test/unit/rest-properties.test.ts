import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestFacts } from '../../src/core/guard.ts'
import { matchPath, overlap, parsePath } from '../../src/core/rest/path-template.ts'
import { factsOf, guardOf, providerOf, said, TICKETS } from './rest-fixture.ts'

const guard = guardOf(providerOf(TICKETS))

/** What the API does, written apart from the templates: method, path as its router sees it, name. */
const ROUTES: readonly (readonly [RegExp, RegExp, string])[] = [
  [/^(GET|HEAD)$/, /^\/v1\/[^/]+\/tickets$/, 'tickets.list'],
  [/^GET$/, /^\/v1\/[^/]+\/tickets\/[^/:]+$/, 'tickets.read'],
  [/^POST$/, /^\/v1\/[^/]+\/tickets$/, 'tickets.create'],
  [/^DELETE$/, /^\/v1\/[^/]+\/tickets\/[^/:]+$/, 'tickets.delete'],
  [/^POST$/, /^\/v1\/[^/]+\/actions$/, 'actions.run'],
  [/^PUT$/, /^\/v1\/[^/]+\/files\/[^/:]+$/, 'attachments.put'],
  [/^POST$/, /^\/v1\/[^/]+\/imports\/[^/:]+$/, 'imports.put'],
  [/^POST$/, /^\/v1\/[^/]+\/photos$/, 'photos.add'],
  [/^POST$/, /^\/v1\/[^/]+\/exports\/[0-9]+:cancel$/, 'exports.cancel'],
  [/^GET$/, /^\/v1\/search$/, 'search'],
  [/^POST$/, /^\/v1\/reports$/, 'reports.run'],
  [/^POST$/, /^\/v1\/hooks$/, 'hooks.send'],
  [/^GET$/, /^\/v1\/me$/, 'me'],
]

function routed(method: string, path: string): string {
  const route = ROUTES.find(([methods, paths]) => methods.test(method) && paths.test(path))
  return route?.[2] ?? `nothing declared: ${method} ${path}`
}

/** Everything that servers, frameworks and gateways are known to make of a path before they route. */
function readingsOf(path: string): ReadonlySet<string> {
  const found = new Set([path])
  for (let round = 0; round < 4; round++) {
    for (const one of [...found]) {
      const readings = [
        decoded(one),
        one.replaceAll('\\', '/'),
        one.replace(/;[^/]*/g, ''),
        one.replace(/\/{2,}/g, '/'),
        one.replace(/^https?:\/\/[^/]*/, ''),
        resolved(one),
        // Literals only: `/v1/S` and `/v1/s` are two environments to any server.
        one.replace(/v1|tickets|actions|exports|search|me\b/gi, (word) => word.toLowerCase()),
        one.split('\0')[0] ?? '',
        one.split('?')[0] ?? '',
      ]
      for (const reading of readings) found.add(reading)
    }
  }
  return found
}

function decoded(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}

function resolved(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  return kept.join('/')
}

const OVERRIDE_HEADER = /^x[-_]http[-_]method([-_]override)?$|^x[-_]method[-_]override$/i

/** The methods a server may run: that of the request line, and of a POST what it is told to run. */
function methodsOf({ method, headers, query, body }: RequestFacts): readonly string[] {
  if (method !== 'POST') return [method]
  const text = body === null ? '' : Buffer.from(body).toString()
  const asked = [
    ...headers.flatMap(([name, value]) => (OVERRIDE_HEADER.test(name) ? [value] : [])),
    ...[query ?? '', text].flatMap((one) =>
      one
        .split(/[&;]/)
        .filter((pair) => /^[ ._[]method(\[.*\])?=/i.test(decoded(pair.replaceAll('+', ' '))))
        .map((pair) => pair.slice(pair.indexOf('=') + 1)),
    ),
    ...(/"_method"\s*:\s*"([A-Z]+)"/.exec(text)?.slice(1) ?? []),
  ]
  return ['POST', ...asked.map((one) => one.toUpperCase())]
}

const segment = fc.constantFrom(
  ...['v1', 'v1', 'v1', 'V1', 's', 's', 'p', 'tickets', 'tickets', 'actions', 'exports', 'files'],
  ...['1', '1:purge', '1:cancel', '17:cancel', '1%3Apurge', 'search', 'me', 'reports', 'hooks'],
  ...['..', '.', '%2e%2e', '%2E.', '.%2e', '', 'tickets;x=1', ';', '..;', '%74ickets', 's%2Fp'],
  ...['s%2f..%2fp', '%252e%252e', '1%00', 'a%20b', '..%5c', '..\\p', 'é', '%c3%a9', '%c0%ae', '%'],
  ...['1?x', '1%3Fx', '1%23', 'tickets%20', ' tickets', 'photos', 'imports', 'a.bin', 'https:'],
)
const path = fc
  .tuple(
    fc.constantFrom('/', '/', '/', '/', '/', '//', '', 'https://api.tickets.example/'),
    fc.oneof(
      fc.array(segment, { maxLength: 7 }),
      fc.tuple(fc.constant('v1'), fc.constant('s'), segment),
      fc.tuple(fc.constant('v1'), fc.constant('s'), segment, segment),
      fc.tuple(fc.constant('v1'), segment),
    ),
  )
  .map(([start, segments]) => start + segments.join('/'))
const method = fc.constantFrom(
  'GET',
  'GET',
  'HEAD',
  'POST',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'get',
)
const query = fc.option(
  fc
    .array(
      fc.constantFrom(
        ...['page=1', 'a=b', 'ws=s', 'ws=p', 'WS=p', 'ws[]=p', 'w%73=p', 'workspace=s', 'a=1;ws=p'],
        ...['workspace=p', 'work_space=p', '_method=DELETE', '_METHOD=DELETE', '%5fmethod=DELETE'],
        ...['+_method=DELETE', '.method=DELETE', '_method[]=DELETE', 'x=1;_method=DELETE', 'a=%zz'],
      ),
      { maxLength: 3 },
    )
    .map((parts) => parts.join('&')),
  { nil: null, freq: 1 },
)
const headers = fc.oneof(
  fc.constant([]),
  fc.array(
    fc.constantFrom(
      ...([
        ['x-http-method-override', 'DELETE'],
        ['X-HTTP_Method-Override', 'DELETE'],
        ['x-http-method', 'DELETE'],
        ['x-method-override', 'DELETE'],
        ['x-workspace', 's'],
        ['x-workspace', 'p'],
        ['accept', '*/*'],
      ] as const),
    ),
    { maxLength: 2 },
  ),
)
const body = fc.option(
  fc.constantFrom(
    ...([
      ['application/json', '{}'],
      ['application/json', '{"type":"purge"}'],
      ['application/json', '{"type":"PURGE"}'],
      ['application/json', '{"type":"close","t\\u0079pe":"purge"}'],
      ['application/json', '{"_method":"DELETE"}'],
      ['application/json', '{"workspace":"p"}'],
      ['application/json', '{"scope":{"workspace":"s"}}'],
      ['application/json', '{"scope":{"workspace":"p","Workspace":"s"}}'],
      ['application/x-www-form-urlencoded', 'a=b'],
      ['application/x-www-form-urlencoded', '_method=DELETE'],
      ['text/plain', '{"type":"purge"}'],
    ] as const),
  ),
  { nil: null, freq: 1 },
)

/** Half of them lead to what is declared, so that what stands beside it matters. */
const line = fc.oneof(
  fc.tuple(method, path),
  fc.tuple(
    method,
    fc.constantFrom(
      ...['/v1/s/tickets', '/v1/s/tickets/1', '/v1/s/actions', '/v1/s/files/a', '/v1/s/imports/a'],
      ...['/v1/s/exports/1:cancel', '/v1/search', '/v1/reports', '/v1/hooks', '/v1/me'],
    ),
  ),
)

const requests: fc.Arbitrary<RequestFacts> = fc
  .record({ line, query, headers, body })
  .map(({ line: [verb, target], ...rest }) => ({ method: verb, path: target, ...rest }))
  .map(({ body: sent, ...head }) => ({
    ...head,
    authority: 'api.tickets.example',
    headers: sent ? [...head.headers, ['content-type', sent[0]] as const] : head.headers,
    body: Buffer.from(sent?.[1] ?? ''),
  }))

/** Every environment that some server might take from the request's text outside of its path. */
function namedBeside({ query: text, headers: fields, body: bytes }: RequestFacts): string[] {
  const pairs = (text ?? '').split(/[&;]/).map((pair) => decoded(pair).split('='))
  const members = [
    ...Buffer.from(bytes ?? [])
      .toString()
      .matchAll(/"workspace"\s*:\s*"(\w+)"/gi),
  ]
  return [
    ...pairs.flatMap(([name = '', value = '']) =>
      /^(ws|work_?space)(\[\])?$/i.test(name) ? [value] : [],
    ),
    ...fields.flatMap(([name, value]) => (name === 'x-workspace' ? [value] : [])),
    ...members.map(([, value = '']) => value),
  ]
}

describe('any request', () => {
  it('that is classified is, however a server reads it, what was classified', () => {
    let classified = 0
    fc.assert(
      fc.property(requests, (request) => {
        const verdict = guard.classify(request)
        if (verdict.outcome === 'refused') return
        classified += 1
        const names = verdict.operations.map(({ name }) => name)
        for (const reading of readingsOf(request.path)) {
          for (const run of methodsOf(request)) expect(names).toContain(routed(run, reading))
        }
        // The one that depends on its body.
        const text = Buffer.from(request.body ?? []).toString()
        if (names.includes('actions.run') && /purge/i.test(text)) {
          expect(names).toContain('tickets.purge')
        }
      }),
      { numRuns: 20_000 },
    )
    expect(classified).toBeGreaterThan(1000)
  })

  it('that is classified names one environment only, wherever a server looks for it', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const verdict = guard.classify(request)
        if (verdict.outcome === 'refused') return
        // What passes unread is bytes to the API too: the definition says so.
        const isRead = verdict.forward.kind === 'body'
        const beside = namedBeside(isRead ? request : { ...request, body: null })
        for (const source of verdict.operations.flatMap(({ environments }) => environments)) {
          if (source.from !== 'argument') expect(beside).toEqual([])
          else for (const id of beside) expect(id).toBe(source.id)
        }
      }),
      { numRuns: 20_000 },
    )
  })

  it('never makes the guard throw, and gets one answer each time', () => {
    const anything = fc.record({
      method: fc.string(),
      authority: fc.constantFrom('api.tickets.example', 'x'),
      path: fc.oneof(fc.string(), fc.string({ unit: 'binary' }), path),
      query: fc.option(fc.string({ unit: 'binary' })),
      headers: fc.array(fc.tuple(fc.string(), fc.string())),
      body: fc.option(fc.uint8Array()),
    })
    fc.assert(
      fc.property(anything, (request) => {
        guard.inspect(request)
        expect(guard.classify(request)).toEqual(guard.classify(request))
      }),
      { numRuns: 3000 },
    )
  })
})

const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._@~-]{0,20}$/)

describe('a request that a client of the API sends', () => {
  it('is never refused for what stands in its ids', () => {
    const lines = fc.oneof(
      fc
        .tuple(id, fc.string())
        .map(([ws, q]) => `GET /v1/${ws}/tickets?page=${encodeURIComponent(q.toWellFormed())}`),
      fc.tuple(id, id).map(([ws, one]) => `GET /v1/${ws}/tickets/${one}`),
      fc.tuple(id, id).map(([ws, one]) => `DELETE /v1/${ws}/tickets/${one}`),
      fc.tuple(id, fc.nat()).map(([ws, one]) => `POST /v1/${ws}/exports/${one}:cancel`),
    )
    fc.assert(
      fc.property(lines, (line) => {
        expect(said(guard.classify({ ...factsOf(line), body: Buffer.of() }))).toMatch(
          / in [A-Za-z0-9]/,
        )
      }),
      { numRuns: 2000 },
    )
  })
})

const part = fc.constantFrom(
  'a',
  'A',
  'b',
  '1',
  '{x}',
  '{x:number}',
  '{x:uuid}',
  '{x:text}',
  '{x}:go',
  '{x:text}:go',
)
const templates = fc
  .array(part, { minLength: 1, maxLength: 3 })
  .map((parts) => `/${parts.map((one, at) => one.replace('x', `x${at}`)).join('/')}`)
const values = fc.constantFrom(
  'a',
  'A',
  'b',
  '1',
  '22',
  'z:go',
  '1:go',
  'z:GO',
  '00000000-0000-4000-8000-000000000000',
)

describe('two templates', () => {
  it('overlap wherever one path matches both', () => {
    fc.assert(
      fc.property(templates, templates, fc.array(values, { maxLength: 3 }), (one, other, given) => {
        const [a, b] = [parsePath(one), parsePath(other)]
        if (typeof a === 'string' || typeof b === 'string') throw new Error('not a template')
        if (matchPath(a, given) === null || matchPath(b, given) === null) return
        expect(overlap(a, b)).toBe(true)
        expect(overlap(b, a)).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })
})
