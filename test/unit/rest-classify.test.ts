import { describe, expect, it } from 'vitest'
import {
  type Asked,
  guardOf,
  json,
  judge,
  operationsOf,
  providerOf,
  said,
  TICKETS,
} from './rest-fixture.ts'

const guard = guardOf(providerOf(TICKETS))
const FORM = 'application/x-www-form-urlencoded'
const form = (body: string): Asked => ({ type: FORM, body })
const header = (name: string, value: string): Asked => ({ headers: [[name, value]] })

type Row = [name: string, line: string, verdict: string, asked?: Asked]

const UNKNOWN = 'operation_denied: this method and path is not known here'
const BODY = 'request_malformed: the content type has to be application/json'

const REFUSED: readonly Row[] = [
  // What no template describes
  [
    'another host',
    'GET /v1/s/tickets',
    'operation_denied: this host is not known here',
    { authority: 'tickets.example' },
  ],
  [
    'another port',
    'GET /v1/s/tickets',
    'operation_denied: this host is not known here',
    { authority: 'api.tickets.example:8443' },
  ],
  ['another path', 'GET /v1/s/users', UNKNOWN],
  ['a longer path', 'GET /v1/s/tickets/1/comments', UNKNOWN],
  ['a shorter path', 'GET /v1', UNKNOWN],
  ['a prefix', 'GET /api/v1/s/tickets', UNKNOWN],
  ['a trailing slash', 'GET /v1/s/tickets/', UNKNOWN],
  ['another method', 'PATCH /v1/s/tickets/1', UNKNOWN],
  ['a method in small letters', 'delete /v1/s/tickets/1', UNKNOWN],
  ['HEAD where only GET is declared', 'HEAD /v1/s/tickets/1', UNKNOWN],
  ['a verb behind a value', 'GET /v1/s/tickets/1:purge', UNKNOWN],
  ['an escaped verb behind a value', 'GET /v1/s/tickets/1%3Apurge', UNKNOWN],
  ['another verb', 'POST /v1/s/exports/1:delete', UNKNOWN],
  ['text for a number', 'POST /v1/s/exports/one:cancel', UNKNOWN],
  [
    'a parameter not declared',
    'GET /v1/s/tickets?sort=x',
    'operation_denied: parameter "sort" of "tickets.list" is not known here',
  ],
  [
    'a credential in the query',
    'GET /v1/s/tickets/1?access_token=x',
    'operation_denied: parameter "access_token" of "tickets.read" is not known here',
  ],
  [
    'an API key in the query',
    'GET /v1/s/tickets/1?apiKey=x',
    'operation_denied: parameter "apiKey" of "tickets.read" is not known here',
  ],
  // Spellings of one path
  [
    'letters of the other case',
    'GET /V1/s/tickets',
    'request_malformed: the path is written in an unusual way',
  ],
  [
    'a verb of the other case',
    'POST /v1/s/exports/1:CANCEL',
    'request_malformed: the path is written in an unusual way',
  ],
  [
    'an escaped letter',
    'GET /v1/s/%74ickets',
    'request_malformed: the path escapes a character that needs none',
  ],
  [
    'an escaped slash',
    'GET /v1/s%2Ftickets',
    'request_malformed: the path has an escaped delimiter',
  ],
  [
    'an escaped backslash',
    'GET /v1/s/tickets/1%5C..',
    'request_malformed: the path has an escaped delimiter',
  ],
  [
    'an escape of an escape',
    'GET /v1/s/tickets/%252e',
    'request_malformed: the path has an escaped delimiter',
  ],
  [
    'an escaped dot',
    'GET /v1/s/tickets/%2E%2E',
    'request_malformed: the path escapes a character that needs none',
  ],
  ['a dot segment', 'GET /v1/s/../p/tickets', 'request_malformed: the path has a dot segment'],
  ['a single dot', 'GET /v1/s/./tickets', 'request_malformed: the path has a dot segment'],
  ['two slashes', 'GET /v1//s/tickets', 'request_malformed: the path has an empty segment'],
  ['an empty value', 'GET /v1//tickets', 'request_malformed: the path has an empty segment'],
  [
    'a matrix parameter',
    'GET /v1/s;v=1/tickets',
    'request_malformed: the path has characters that do not belong there',
  ],
  [
    'an escaped matrix parameter',
    'GET /v1/s%3Bv/tickets',
    'request_malformed: the path has an escaped delimiter',
  ],
  [
    'an absolute form',
    'GET https://api.tickets.example/v1/s/tickets',
    'request_malformed: the path has characters that do not belong there',
  ],
  [
    'an escaped NUL',
    'GET /v1/s/tickets/1%00',
    'request_malformed: the path has an escaped control character',
  ],
  [
    'half an escape',
    'GET /v1/s/tickets/1%2',
    'request_malformed: the path has a broken percent escape',
  ],
  [
    'an overlong escape',
    'GET /v1/s/tickets/%c0%af',
    'request_malformed: the path has escapes that are not UTF-8',
  ],
  [
    'a letter outside ASCII',
    'GET /v1/s/tickets/é',
    'request_malformed: the path has characters that do not belong there',
  ],
  [
    'a path without end',
    `GET /v1/s/tickets/${'a'.repeat(5000)}`,
    'request_malformed: the path is too long',
  ],
  // Another method or path than the one that was judged
  [
    'X-HTTP-Method-Override',
    'POST /v1/s/tickets',
    'request_malformed: header "x-http-method-override" is not accepted',
    header('x-http-method-override', 'DELETE'),
  ],
  [
    'the same with underscores',
    'POST /v1/s/tickets',
    'request_malformed: header "X_HTTP_Method_Override" is not accepted',
    header('X_HTTP_Method_Override', 'DELETE'),
  ],
  [
    'X-Original-URL',
    'GET /v1/me',
    'request_malformed: header "x-original-url" is not accepted',
    header('x-original-url', '/admin'),
  ],
  [
    'X-Forwarded-Host',
    'GET /v1/me',
    'request_malformed: header "x-forwarded-host" is not accepted',
    header('x-forwarded-host', 'eu'),
  ],
  [
    'an upgrade',
    'GET /v1/me',
    'request_malformed: a connection cannot be upgraded here',
    header('upgrade', 'websocket'),
  ],
  [
    '_method in the query',
    'POST /v1/s/tickets?_method=DELETE',
    'request_malformed: parameter "_method" is not accepted',
  ],
  [
    '_method as PHP reads it',
    'POST /v1/s/tickets?.method=DELETE',
    'request_malformed: parameter ".method" is not accepted',
  ],
  [
    '_method as a list',
    'POST /v1/s/tickets?_method[]=DELETE',
    'request_malformed: parameter "_method[]" is not accepted',
  ],
  [
    '_method escaped',
    'POST /v1/s/tickets?%5fmethod=DELETE',
    'request_malformed: parameter "_method" is not accepted',
  ],
  [
    '_method behind a semicolon',
    'POST /v1/s/tickets?a=1;_method=DELETE',
    'request_malformed: the parameters hold a ";"',
  ],
  [
    '_method in JSON',
    'POST /v1/s/tickets',
    'request_malformed: member "_method" is not accepted',
    json({ _method: 'DELETE' }),
  ],
  [
    '_method in a form',
    'POST /v1/hooks',
    'request_malformed: parameter "_method" is not accepted',
    { ...form('_method=DELETE'), headers: [['x-workspace', 's']] },
  ],
  ['a form where JSON is judged', 'POST /v1/s/actions', BODY, form('type=purge')],
  [
    'a form as a stream',
    'POST /v1/s/imports/x',
    'request_malformed: this content type is not accepted: its fields could ask for another method',
    form('_method=DELETE'),
  ],
  [
    'parts as a stream',
    'POST /v1/s/imports/x',
    'request_malformed: this content type is not accepted: its fields could ask for another method',
    { type: 'multipart/form-data; boundary=x', body: 'x' },
  ],
  [
    'an escaped control character in a name',
    'GET /v1/s/tickets/1?a%00=1',
    'request_malformed: a parameter has a control character',
  ],
  [
    'a broken escape in the query',
    'GET /v1/s/tickets/1?a=%zz',
    'request_malformed: a parameter has a broken percent escape',
  ],
  [
    'JSON as a stream',
    'POST /v1/s/imports/x',
    'request_malformed: this content type is not accepted: its fields could ask for another method',
    json({ _method: 'DELETE' }),
  ],
  [
    'a form where parts are expected',
    'POST /v1/s/photos',
    'request_malformed: this content type is not accepted: its fields could ask for another method',
    form('_method=DELETE'),
  ],
  [
    'nested where another operation looks for it',
    'POST /v1/s/tickets',
    'request_malformed: "workspace" is named in more than one way',
    json({ scope: { workspace: 'p' } }),
  ],
  // Bodies
  [
    'a body where none belongs',
    'DELETE /v1/s/tickets/1',
    'request_malformed: this operation takes no body',
    json({}),
  ],
  [
    'JSON that is none',
    'POST /v1/s/actions',
    'request_malformed: the request body is not valid JSON',
    json('{'),
  ],
  [
    'a key that stands twice',
    'POST /v1/s/actions',
    'request_malformed: a key stands twice in one JSON object',
    json('{"type":"purge","type":"close"}'),
  ],
  [
    'the same key escaped',
    'POST /v1/s/actions',
    'request_malformed: a key stands twice in one JSON object',
    json('{"type":"close","t\\u0079pe":"purge"}'),
  ],
  [
    'a key of the other case',
    'POST /v1/s/actions',
    'request_malformed: member "Type" is not "type"',
    json({ type: 'close', Type: 'purge' }),
  ],
  [
    'a value of the other case',
    'POST /v1/s/actions',
    'request_malformed: "type" of the body is written in an unusual way',
    json({ type: 'Purge' }),
  ],
  [
    'a value with a space',
    'POST /v1/s/actions',
    'request_malformed: "type" of the body is written in an unusual way',
    json({ type: 'purge ' }),
  ],
  [
    'a value in a list',
    'POST /v1/s/actions',
    'request_malformed: "type" of the body is not a plain value',
    json({ type: ['purge'] }),
  ],
  [
    'a list of bodies',
    'POST /v1/s/actions',
    'request_malformed: the body has no object where "type" is looked for',
    json([{ type: 'purge' }]),
  ],
  ['no content type', 'POST /v1/s/actions', BODY, { body: '{}' }],
  ['another content type', 'POST /v1/s/actions', BODY, { type: 'text/plain', body: '{}' }],
  [
    'two content types',
    'POST /v1/s/actions',
    'request_malformed: header "content-type" stands twice',
    { ...json({}), headers: [['content-type', FORM]] },
  ],
  [
    'two content types in one',
    'POST /v1/s/actions',
    'request_malformed: the content type is not well formed',
    { type: `application/json, ${FORM}`, body: '{}' },
  ],
  [
    'another charset',
    'POST /v1/s/actions',
    'request_malformed: the body has to be UTF-8',
    { type: 'application/json; charset=utf-7', body: '{}' },
  ],
  [
    'a packed body',
    'POST /v1/s/actions',
    'request_malformed: the body has to come without a content encoding',
    { ...json({}), headers: [['content-encoding', 'gzip']] },
  ],
  [
    'a body that is not UTF-8',
    'POST /v1/s/actions',
    'request_malformed: the request body is not valid UTF-8',
    { type: 'application/json', body: Uint8Array.of(0x22, 0xff, 0x22) },
  ],
  [
    'deep nesting',
    'POST /v1/s/actions',
    'request_too_large: the request body is nested too deeply',
    json('['.repeat(60) + ']'.repeat(60)),
  ],
  [
    'a number that cannot be kept',
    'POST /v1/s/actions',
    'request_malformed: a number has more digits than can be kept',
    json('{"id":12345678901234567890}'),
  ],
  [
    'half a character',
    'POST /v1/s/actions',
    'request_malformed: the request body holds half a character',
    json('{"a":"\\ud800"}'),
  ],
  // The environment
  [
    'an environment that is no id',
    'GET /v1/a%20b/tickets',
    'request_malformed: "workspace" is not an id',
  ],
  [
    'an environment twice in the query',
    'GET /v1/search?ws=s&ws=p',
    'request_malformed: "workspace" stands twice',
  ],
  [
    'as a list beside it',
    'GET /v1/search?ws=s&ws[]=p',
    'request_malformed: "workspace" is named in more than one way',
  ],
  [
    'by its other name beside it',
    'GET /v1/search?ws=s&workspace=p',
    'request_malformed: "workspace" is named in more than one way',
  ],
  [
    'in the other case beside it',
    'GET /v1/search?ws=s&WS=p',
    'request_malformed: "workspace" is named in more than one way',
  ],
  [
    'in the query beside the path',
    'GET /v1/s/tickets/1?workspace=p',
    'request_malformed: "workspace" is named in more than one way',
  ],
  [
    'in a header beside the path',
    'GET /v1/s/tickets/1',
    'request_malformed: "workspace" is named in more than one way',
    header('x-workspace', 'p'),
  ],
  [
    'in the body beside the path',
    'POST /v1/s/tickets',
    'request_malformed: "workspace" is named in more than one way',
    json({ workspace: 'p' }),
  ],
  [
    'in a form beside the header',
    'POST /v1/hooks',
    'request_malformed: "workspace" is named in more than one way',
    { ...form('workspace=p'), headers: [['x-workspace', 's']] },
  ],
  [
    'two headers',
    'POST /v1/hooks',
    'request_malformed: "workspace" stands twice',
    {
      ...form('a=1'),
      headers: [
        ['x-workspace', 's'],
        ['x-workspace', 'p'],
      ],
    },
  ],
  [
    'a list in a header',
    'POST /v1/hooks',
    'request_malformed: "workspace" is not an id',
    { ...form('a=1'), headers: [['x-workspace', 's, p']] },
  ],
  [
    'one where there is none',
    'GET /v1/me?workspace=p',
    'request_malformed: "workspace" is named in more than one way',
  ],
  [
    'a list in the body',
    'POST /v1/reports',
    'request_malformed: "scope/workspace" of the body is not an id',
    json({ scope: { workspace: ['s', 'p'] } }),
  ],
  [
    'a twin in the body',
    'POST /v1/reports',
    'request_malformed: member "Workspace" is not "workspace"',
    json({ scope: { workspace: 's', Workspace: 'p' } }),
  ],
]

const CLASSIFIED: readonly Row[] = [
  ['a list', 'GET /v1/staging-ws/tickets', 'tickets.list in staging-ws'],
  ['HEAD where it is declared', 'HEAD /v1/s/tickets', 'tickets.list in s'],
  ['declared parameters', 'GET /v1/s/tickets?page=2&status=open', 'tickets.list in s'],
  ['any other parameter', 'GET /v1/s/tickets/1?page_token=x&fields=a,b', 'tickets.read in s'],
  [
    'the other host',
    'GET /v1/s/tickets/1',
    'tickets.read in s',
    { authority: 'eu.tickets.example' },
  ],
  ['a value with an escape', 'GET /v1/s/tickets/a%20b%40c', 'tickets.read in s'],
  ['the same environment twice', 'GET /v1/s/tickets/1?workspace=s', 'tickets.read in s'],
  ['a POST without a body', 'POST /v1/s/tickets', 'tickets.create in s'],
  ['JSON', 'POST /v1/s/tickets', 'tickets.create in s', json({ title: 'é' })],
  [
    'JSON of a vendor',
    'POST /v1/s/tickets',
    'tickets.create in s',
    { type: 'application/vnd.tickets+json; charset=UTF-8', body: '{}' },
  ],
  ['a harmless action', 'POST /v1/s/actions', 'actions.run in s', json({ type: 'close' })],
  [
    'a dangerous action, which is both',
    'POST /v1/s/actions',
    'actions.run in s, tickets.purge in s',
    json({ type: 'purge' }),
  ],
  [
    'a stream',
    'PUT /v1/s/files/a.bin',
    'attachments.put in s',
    { type: 'application/octet-stream', body: 'x' },
  ],
  [
    'a form as the stream of a PUT',
    'PUT /v1/s/files/a.bin',
    'attachments.put in s',
    form('_method=DELETE'),
  ],
  [
    'parts, where that is said',
    'POST /v1/s/photos',
    'photos.add in s',
    { type: 'multipart/form-data; boundary=x', body: 'x' },
  ],
  ['a verb', 'POST /v1/s/exports/17:cancel', 'exports.cancel in s'],
  ['an environment in the query', 'GET /v1/search?ws=s&q=x', 'search in s'],
  ['none in the query', 'GET /v1/search?q=x', 'search in optional-argument-missing'],
  ['an empty one in the query', 'GET /v1/search?ws=', 'search in optional-argument-missing'],
  [
    'an environment in the body',
    'POST /v1/reports',
    'reports.run in s',
    json({ scope: { workspace: 's' } }),
  ],
  [
    'a number as environment',
    'POST /v1/reports',
    'reports.run in 17',
    json({ scope: { workspace: 17 } }),
  ],
  [
    'none in the body',
    'POST /v1/reports',
    'reports.run in optional-argument-missing',
    json({ scope: {} }),
  ],
  ['no body at all', 'POST /v1/reports', 'reports.run in optional-argument-missing'],
  [
    'an environment in a header',
    'POST /v1/hooks',
    'hooks.send in s',
    { ...form('a=1'), headers: [['x-workspace', 's']] },
  ],
  ['none in the headers', 'POST /v1/hooks', 'hooks.send in optional-argument-missing', form('a=1')],
  ['nothing about an environment', 'GET /v1/me', 'me in lease'],
]

describe('a request to a provider of data', () => {
  it.each(REFUSED)('is refused: %s', (_name, line, verdict, asked) => {
    expect(said(judge(guard, line, asked))).toBe(verdict)
  })

  it.each(CLASSIFIED)('is what it says: %s', (_name, line, verdict, asked) => {
    expect(said(judge(guard, line, asked))).toBe(verdict)
  })

  it('names what it acts on, and where', () => {
    expect(operationsOf(judge(guard, 'DELETE /v1/s/tickets/a%20b'))).toEqual([
      {
        name: 'tickets.delete',
        risk: 'destructive',
        resources: [
          { kind: 'ticket', id: 'a b' },
          { kind: 'workspace', id: 's' },
        ],
        environments: [{ from: 'argument', id: 's' }],
      },
    ])
  })

  it('that nothing describes counts as admin, and names no value', () => {
    expect(judge(guard, 'POST /v1/s/secret-thing')).toEqual({
      outcome: 'refused',
      code: 'operation_denied',
      message: 'this method and path is not known here',
      operation: null,
      risk: 'admin',
    })
  })

  it('is forwarded as it was judged: JSON written anew, streams unread', () => {
    const judged = judge(guard, 'POST /v1/s/actions', json('{ "type" : "close",\n"a": [1.0, 2] }'))
    expect(judged).toMatchObject({
      forward: {
        kind: 'body',
        contentType: 'application/json',
        text: '{"a":[1,2],"type":"close"}',
      },
    })
    const stream = { ...form('x'), type: 'application/octet-stream' }
    expect(judge(guard, 'PUT /v1/s/files/a', stream)).toMatchObject({ forward: { kind: 'stream' } })
    const sent = judge(guard, 'POST /v1/hooks', {
      ...form('a=1+2&b=%e2%82%ac&c'),
      headers: [['x-workspace', 's']],
    })
    expect(sent).toMatchObject({
      forward: { kind: 'body', contentType: FORM, text: 'a=1%202&b=%E2%82%AC&c=' },
    })
  })

  it('has its body read only where something depends on it', () => {
    const wanted = (line: string) => {
      const [method = '', path = ''] = line.split(' ')
      const authority = 'api.tickets.example'
      return guard.inspect({ method, path, authority, query: null, headers: [], body: null })
    }
    expect(wanted('POST /v1/s/actions')).toBe(1024 * 1024)
    expect(wanted('POST /v1/hooks')).toBe(1024 * 1024)
    expect(wanted('PUT /v1/s/files/a')).toBeNull()
    expect(wanted('GET /v1/s/tickets')).toBe(0)
    expect(wanted('GET /v1//tickets')).toBeNull()
  })

  it('whose body was not read is refused where it decides', () => {
    const facts = { authority: 'api.tickets.example', query: null, headers: [], body: null }
    expect(said(guard.classify({ ...facts, method: 'POST', path: '/v1/s/actions' }))).toBe(
      'request_malformed: the request body was not read',
    )
  })
})

describe('an environment of several parts', () => {
  const repositories = guardOf(
    providerOf(`    hosts: [api.tickets.example]
    credential: { scheme: bearer }
    variables: { TOKEN: "{credential}" }
    environment: [{ in: path, name: owner }, { in: path, name: repo }]
    operations:
      - { name: issues.list, method: GET, path: "/repos/{owner}/{repo}/issues", risk: read }
`),
  )

  it('is never mistaken for another', () => {
    expect(said(judge(repositories, 'GET /repos/a/b/issues'))).toBe('issues.list in a/b')
    expect(repositories.place({ owner: 'a', repo: 'b' })).toEqual({
      environment: 'a/b',
      project: null,
    })
    expect(said(judge(repositories, 'GET /repos/a%2Fb/c/issues'))).toBe(
      'request_malformed: the path has an escaped delimiter',
    )
  })
})

describe('an API whose hosts are its environments', () => {
  const provider = providerOf(`    hosts: [staging.tickets.example, www.tickets.example]
    credential: { scheme: bearer }
    variables: { TOKEN: "{credential}" }
    environment: { in: host, name: host }
    operations:
      - { name: list, method: GET, path: /tickets, risk: read }
`)
  const hosts = guardOf(provider)

  it('has no environment at any other host', () => {
    expect(() => provider.parseTarget({ host: 'evil.example' })).toThrowError(
      '"host" of a tickets target is not one of its hosts',
    )
    const target = provider.parseTarget({ host: 'www.tickets.example' })
    expect(hosts.place(target)).toEqual({ environment: 'www.tickets.example', project: null })
  })

  it('is judged by the host', () => {
    const asked = { authority: 'staging.tickets.example' }
    expect(said(judge(hosts, 'GET /tickets', asked))).toBe('list in staging.tickets.example')
    const others = { authority: 'other.tickets.example' }
    expect(said(judge(hosts, 'GET /tickets', others))).toBe(
      'operation_denied: this host is not known here',
    )
  })
})

describe('an operation told apart by its body alone', () => {
  const actions = guardOf(
    providerOf(`    hosts: [api.tickets.example]
    credential: { scheme: bearer }
    variables: { TOKEN: "{credential}" }
    environment: { in: path, name: workspace }
    operations:
      - { name: close, method: POST, path: "/{workspace}/actions", risk: write, when: { /type: close, /dry: false } }
      - { name: purge, method: POST, path: "/{workspace}/actions", risk: destructive, when: { /type: purge } }
`),
  )

  it('is not known where the body says something else, or nothing', () => {
    const nothing = 'operation_denied: what the body asks for is not known here'
    for (const body of [{ type: 'other' }, { type: 'close' }, { type: null }, {}]) {
      expect(said(judge(actions, 'POST /s/actions', json(body)))).toBe(nothing)
    }
    expect(said(judge(actions, 'POST /s/actions'))).toBe(nothing)
  })

  it('is the one whose every condition holds', () => {
    const close = json({ type: 'close', dry: false })
    expect(said(judge(actions, 'POST /s/actions', close))).toBe('close in s')
    expect(said(judge(actions, 'POST /s/actions', json({ type: 'purge' })))).toBe('purge in s')
    expect(said(judge(actions, 'POST /s/actions', json({ type: 'close', dry: 'false' })))).toBe(
      'request_malformed: "dry" of the body is written in an unusual way',
    )
  })
})
