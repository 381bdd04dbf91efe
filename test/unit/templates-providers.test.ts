import { describe, expect, it } from 'vitest'
import type { Configuration } from '../../src/core/template.ts'
import { createRest } from '../../src/providers/rest/provider.ts'
import { type CompileResult, compile } from '../../src/templates/compile.ts'
import type { CompileContext } from '../../src/templates/context.ts'
import { changes } from '../../src/templates/diff.ts'
import { definition, fingerprint } from '../../src/templates/fingerprint.ts'
import { readDocument } from '../../src/templates/read.ts'
import { CONTEXT } from './templates-fixture.ts'

/** The provider begins at line 3, its operations at line 9. */
const GOOD = `version: 1
providers:
  tickets:
    hosts: [api.tickets.example]
    credential: { scheme: bearer }
    variables: { TICKETS_TOKEN: "{credential}" }
    environment: { in: path, name: workspace }
    operations:
      - { name: tickets.list, method: GET, path: "/v1/{workspace}/tickets", risk: read }
      - { name: tickets.close, method: POST, path: "/v1/{workspace}/tickets/{id}", risk: write }
      - { name: tickets.delete, method: DELETE, path: "/v1/{workspace}/tickets/{id}", risk: destructive }
environments:
  staging:
    tickets: { connection: tickets-main, workspace: staging-ws }
templates:
  work:
    environments: [staging]
    grants:
      tickets: { allow: [read, write] }
`

const WORLD: CompileContext = {
  connections: [...CONTEXT.connections, { name: 'tickets-main', provider: 'tickets' }],
  providers: new Map(
    [...CONTEXT.providers].map(([name, facts]) => [
      name,
      name === 'railway' ? { ...facts, guard: { hosts: ['backboard.railway.com'] } } : facts,
    ]),
  ),
}

function result(text: string, world = WORLD): CompileResult {
  const { document, issues } = readDocument(text)
  return document ? compile(document, world) : { issues }
}
function configurationOf(text: string): Configuration {
  const { configuration, issues } = result(text)
  if (!configuration) throw new Error(JSON.stringify(issues, null, 1))
  return configuration
}
const replaced = (from: string, to: string) => {
  expect(GOOD).toContain(from)
  return GOOD.replace(from, to)
}
/** One more operation, at line 12. */
const withOperation = (operation: string) =>
  replaced('environments:\n', `      - ${operation}\nenvironments:\n`)

type Bad = [name: string, yaml: string, at: string, message: string, suggestion?: string]

const BAD: readonly Bad[] = [
  // Shape
  [
    'an unknown key of a provider',
    replaced('    hosts:', '    hostz: []\n    hosts:'),
    '4:5',
    '"hostz" is not a key that a provider has',
    'hosts',
  ],
  [
    'an unknown key of an operation',
    replaced('risk: read }', 'risk: read, qeury: any }'),
    '9:89',
    '"qeury" is not a key that an operation has',
    'query',
  ],
  [
    'an unknown key of a credential',
    replaced('{ scheme: bearer }', '{ scheme: bearer, token: x }'),
    '5:35',
    '"token" is not a key that a credential has',
  ],
  [
    'an unknown key of a place',
    replaced('name: workspace }', 'name: workspace, at: x }'),
    '7:47',
    '"at" is not a key that a place of the environment has',
  ],
  [
    'no environment',
    replaced('    environment: { in: path, name: workspace }\n', ''),
    '3:3',
    '"environment" is missing in "tickets"',
  ],
  [
    'no reason for none',
    replaced('{ in: path, name: workspace }', '{ in: none }'),
    '7:5',
    '"reason" is missing in "environment"',
  ],
  [
    'an unknown place',
    replaced('in: path,', 'in: paht,'),
    '7:24',
    '"in" must be path, query, header, host, body or none, found "paht"',
    'path',
  ],
  [
    'an unknown method',
    replaced('method: GET,', 'method: TRACE,'),
    '9:39',
    '"method" must be GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or a list of them, found "TRACE"',
  ],
  [
    'a method in small letters',
    replaced('method: GET,', 'method: get,'),
    '9:39',
    '"method" must be GET',
    'GET',
  ],
  [
    'an unknown risk',
    replaced('risk: read }', 'risk: reed }'),
    '9:83',
    '"risk" must be read, secret, write',
    'read',
  ],
  [
    'a place without a name',
    replaced('{ in: path, name: workspace }', '{ in: path }'),
    '7:18',
    'the place of the environment needs a "name"',
  ],
  [
    'a credential without quotes',
    replaced('"{credential}"', '{credential}'),
    '6:33',
    'text with { or } has to be in quotes',
  ],
  [
    'a path without quotes',
    replaced('"/v1/{workspace}/tickets"', '/v1/{workspace}/tickets'),
    '9:54',
    'text with { or } in quotes?',
  ],
  [
    'no operations',
    GOOD.replace(/operations:\n( {6}.*\n)+/, 'operations: []\n'),
    '8:17',
    '"operations" is empty',
  ],
  // Hosts
  [
    'a wildcard host',
    replaced('[api.tickets.example]', '["*.tickets.example"]'),
    '4:13',
    'a host is an exact name like api.example.com: no wildcard, no port, no address',
  ],
  [
    'an address',
    replaced('[api.tickets.example]', '[10.0.0.1]'),
    '4:13',
    'a host is an exact name',
  ],
  [
    'a host with a port',
    replaced('[api.tickets.example]', '["api.tickets.example:8443"]'),
    '4:13',
    'a host is an exact name',
  ],
  [
    'this machine',
    replaced('[api.tickets.example]', '[localhost]'),
    '4:13',
    'a host is an exact name',
  ],
  [
    'a URL',
    replaced('[api.tickets.example]', '[https://api.tickets.example]'),
    '4:13',
    'a host is an exact name',
  ],
  [
    'a host twice',
    replaced('[api.tickets.example]', '[api.tickets.example, API.tickets.example]'),
    '4:34',
    'host "api.tickets.example" stands here twice',
  ],
  [
    'a host of a built-in provider',
    replaced('[api.tickets.example]', '[Backboard.railway.com]'),
    '4:13',
    'host "backboard.railway.com" belongs to provider "railway"',
  ],
  [
    'a host of another provider',
    GOOD.replace(
      'environments:\n',
      `${GOOD.split('\n').slice(2, 11).join('\n').replace('tickets:', 'other:')}\nenvironments:\n`,
    ),
    '13:13',
    'host "api.tickets.example" belongs to provider "tickets"',
  ],
  [
    'the name of a built-in provider',
    GOOD.replace('  tickets:\n', '  postgres:\n'),
    '3:3',
    'provider "postgres" is built in: choose another name',
  ],
  [
    'a name that is none',
    GOOD.replace('  tickets:\n', '  "my tickets":\n'),
    '3:3',
    '"my tickets" cannot be a name',
  ],
  // Credential, phantom, variables
  [
    'a guessable phantom',
    replaced(
      '    variables',
      '    phantom: { prefix: tk_, length: 20, charset: hex }\n    variables',
    ),
    '6:37',
    'a phantom of this form has 68 random bits: 128 need a length of 35',
  ],
  [
    'a header that frames',
    replaced('{ scheme: bearer }', '{ header: Content-Length, scheme: raw }'),
    '5:27',
    'this header cannot carry a credential',
  ],
  [
    'a header that is none',
    replaced('{ scheme: bearer }', '{ header: "x y", scheme: raw }'),
    '5:27',
    'this header cannot carry a credential',
  ],
  [
    'basic without a half',
    replaced('{ scheme: bearer }', '{ scheme: basic }'),
    '5:27',
    'the scheme basic needs either "user" or "password"',
  ],
  [
    'basic with both halves',
    replaced('{ scheme: bearer }', '{ scheme: basic, user: a, password: b }'),
    '5:27',
    'the scheme basic needs either "user" or "password"',
  ],
  [
    'a user without basic',
    replaced('{ scheme: bearer }', '{ scheme: bearer, user: a }'),
    '5:41',
    '"user" belongs to the scheme basic, not bearer',
  ],
  [
    'nothing that carries it',
    replaced('"{credential}"', 'x'),
    '6:16',
    'no variable holds {credential}',
  ],
  [
    'an unknown word',
    replaced('"{credential}"', '"{credential}{token}"'),
    '6:33',
    '{token} is not known here: there is {credential}, {workspace}',
  ],
  [
    'a variable of the broker',
    replaced('TICKETS_TOKEN', 'BROKER_HANDLE'),
    '6:33',
    '"BROKER_HANDLE" cannot be a variable of a provider',
  ],
  [
    'a variable that redirects',
    replaced('TICKETS_TOKEN:', 'HTTPS_PROXY: x, TICKETS_TOKEN:'),
    '6:31',
    '"HTTPS_PROXY" cannot be a variable of a provider',
  ],
  [
    'a variable that loads code',
    replaced('TICKETS_TOKEN:', 'NODE_OPTIONS: x, TICKETS_TOKEN:'),
    '6:32',
    '"NODE_OPTIONS" cannot be',
  ],
  // Operations
  [
    'a relative path',
    withOperation(
      '{ name: a, method: GET, path: v1, risk: read, environment: { in: none, reason: x } }',
    ),
    '12:39',
    'a path begins with a slash',
  ],
  [
    'an empty segment',
    withOperation('{ name: a, method: GET, path: "/v1//{workspace}", risk: read }'),
    '12:39',
    'a path has no empty segment',
  ],
  [
    'half a segment',
    withOperation('{ name: a, method: GET, path: "/v1/x-{workspace}", risk: read }'),
    '12:39',
    'a segment is plain text, or one placeholder',
  ],
  [
    'a dot segment',
    withOperation('{ name: a, method: GET, path: "/{workspace}/../x", risk: read }'),
    '12:39',
    'a segment is plain text',
  ],
  [
    'an escape',
    withOperation('{ name: a, method: GET, path: "/{workspace}/%20", risk: read }'),
    '12:39',
    'a segment is plain text',
  ],
  [
    'a placeholder twice',
    withOperation('{ name: a, method: GET, path: "/{workspace}/{workspace}", risk: read }'),
    '12:39',
    'a placeholder stands twice',
  ],
  [
    'a path without the environment',
    withOperation('{ name: a, method: GET, path: /v1/me, risk: read }'),
    '12:39',
    'the path has no {workspace}, and "environment" does not say where else it stands',
  ],
  [
    'an environment twice',
    withOperation(
      '{ name: a, method: GET, path: "/x/{workspace}", risk: read, environment: { in: query } }',
    ),
    '12:82',
    'the path has {workspace}: that is where its environment stands',
  ],
  [
    'another environment',
    withOperation(
      '{ name: a, method: GET, path: /x, risk: read, environment: { in: query, name: team } }',
    ),
    '12:68',
    'the environment has the places workspace',
  ],
  [
    'a header that is taken',
    withOperation(
      '{ name: a, method: GET, path: /x, risk: read, environment: { in: header, at: Host } }',
    ),
    '12:68',
    'header "host" cannot say where a request belongs',
  ],
  [
    'a pointer into a list',
    withOperation(
      '{ name: a, method: POST, path: /x, risk: read, environment: { in: body, at: /items/0 } }',
    ),
    '12:69',
    '"/items/0" is not a JSON pointer to a member',
  ],
  [
    'a condition that is no pointer',
    withOperation(
      '{ name: a, method: POST, path: "/x/{workspace}", risk: read, when: { type: x } }',
    ),
    '12:76',
    '"type" is not a JSON pointer to a member, like /type',
  ],
  [
    'a condition on a form',
    withOperation(
      '{ name: a, method: POST, path: "/x/{workspace}", risk: read, body: form, when: { /type: x } }',
    ),
    '12:76',
    'what depends on the body needs it as json',
  ],
  [
    'a condition on a GET',
    withOperation(
      '{ name: a, method: GET, path: "/x/{workspace}", risk: read, body: json, when: { /type: x } }',
    ),
    '12:87',
    'GET has no body that could be judged',
  ],
  [
    'a target that is not there',
    withOperation(
      '{ name: a, method: GET, path: "/x/{workspace}", risk: read, target: { kind: x, id: id } }',
    ),
    '12:77',
    'the path has no {id}',
  ],
  [
    'a risk class for a name',
    withOperation('{ name: write, method: GET, path: "/x/{workspace}", risk: read }'),
    '12:17',
    '"write" is the name of a risk class',
  ],
  [
    'a glob for a name',
    withOperation('{ name: "a*", method: GET, path: "/x/{workspace}", risk: read }'),
    '12:17',
    'an operation is called by letters',
  ],
  [
    'two risks of one name',
    withOperation('{ name: tickets.list, method: GET, path: "/x/{workspace}", risk: write }'),
    '12:74',
    'operation "tickets.list" has the risk read above',
  ],
  [
    'a request with two risks',
    withOperation('{ name: a, method: DELETE, path: "/v1/{workspace}/tickets/mine", risk: write }'),
    '12:42',
    'a request may also be "tickets.delete", which is destructive: narrow a placeholder',
  ],
  [
    'a request with two risks in another case',
    withOperation(
      '{ name: a, method: DELETE, path: "/V1/{workspace}/Tickets/{n:number}", risk: write }',
    ),
    '12:42',
    'a request may also be "tickets.delete"',
  ],
  [
    'a request with two kinds of body',
    withOperation(
      '{ name: a, method: POST, path: "/v1/{workspace}/tickets/{id}", risk: write, body: stream }',
    ),
    '12:91',
    'a request may also be "tickets.close", whose body is json',
  ],
  [
    'a check of a placeholder',
    replaced('    operations:', '    check: { path: "/v1/{workspace}" }\n    operations:'),
    '8:20',
    'the path of a check has no placeholders',
  ],
  // What refers to it
  [
    'a target without its parameter',
    replaced(', workspace: staging-ws', ''),
    '14:5',
    '"workspace" of a tickets target is missing',
  ],
  [
    'a target with another parameter',
    replaced('workspace: staging-ws', 'worspace: staging-ws'),
    '14:42',
    'a tickets target has no "worspace"',
    'workspace',
  ],
  [
    'a target that is no id',
    replaced('workspace: staging-ws', 'workspace: "a/b"'),
    '14:42',
    '"workspace" of a tickets target is not an id',
  ],
  [
    'a number for an id',
    replaced('workspace: staging-ws', 'workspace: 17'),
    '14:42',
    '"workspace" of a tickets target is not an id',
  ],
  [
    'no connection',
    replaced('connection: tickets-main', 'provider: tickets'),
    '14:5',
    'provider "tickets" needs a connection',
  ],
  [
    'an operation that is not declared',
    replaced('[read, write]', '[read, tickets.lst]'),
    '19:32',
    'provider "tickets" has no operation "tickets.lst"',
    'tickets.list',
  ],
  [
    'a glob for what has to be named',
    replaced('[read, write]', '["tickets.del*"]'),
    '19:26',
    '"tickets.del*" matches only operations that have to be named',
    'tickets.delete',
  ],
  [
    'a provider that is gone',
    GOOD.replace('  tickets:\n', '  tickets2:\n'),
    '14:28',
    'provider "tickets" of connection "tickets-main" is not in this version, nor under "providers"',
  ],
]

describe('a bad provider of one’s own', () => {
  it.each(BAD)('says where and what: %s', (_name, yaml, at, message, suggestion) => {
    const { configuration, issues } = result(yaml)
    const found = issues.find((issue) => issue.message.includes(message))
    expect(found, JSON.stringify(issues, null, 1)).toBeDefined()
    expect(`${found?.line}:${found?.column}`).toBe(at)
    expect(found?.suggestion ?? null).toBe(suggestion ?? null)
    expect(configuration).toBeUndefined()
  })

  it('is refused by whoever makes a provider of it, too', () => {
    const good = configurationOf(GOOD).providers['tickets']
    if (!good) throw new Error('not compiled')
    expect(() => createRest('tickets', good)).not.toThrow()
    const hosts = ['*.example.com']
    expect(() => createRest('tickets', { ...good, hosts })).toThrowError(
      'provider "tickets" cannot be used: a host is an exact name like api.example.com: no wildcard, no port, no address',
    )
  })
})

describe('a good provider of one’s own', () => {
  it('is compiled with every default filled in', () => {
    const { configuration, issues } = result(GOOD)
    expect(issues).toEqual([])
    expect(configuration?.providers['tickets']).toEqual({
      hosts: ['api.tickets.example'],
      credential: { header: 'authorization', scheme: 'bearer', user: null, password: null },
      phantom: { prefix: '', length: 43, charset: 'base64url' },
      variables: { TICKETS_TOKEN: '{credential}' },
      environment: { places: [{ in: 'path', name: 'workspace', at: 'workspace' }], reason: null },
      operations: [
        {
          name: 'tickets.list',
          risk: 'read',
          method: ['GET'],
          path: '/v1/{workspace}/tickets',
          query: 'any',
          body: 'none',
          when: {},
          environment: {
            places: [{ in: 'path', name: 'workspace', at: 'workspace' }],
            reason: null,
          },
          target: null,
        },
        expect.objectContaining({ name: 'tickets.close', body: 'json' }),
        expect.objectContaining({ name: 'tickets.delete', risk: 'destructive' }),
      ],
      check: null,
    })
  })

  it('may have two operations that one request is both of, where the body tells them apart', () => {
    const both = withOperation(
      '{ name: tickets.purge, method: POST, path: "/v1/{workspace}/tickets/{id}", risk: destructive, when: { /type: purge } }',
    )
    expect(result(both).issues).toEqual([])
    const narrow = withOperation(
      '{ name: tickets.note, method: DELETE, path: "/v1/{workspace}/tickets/{id}:note", risk: write }',
    )
    expect(result(narrow).issues).toEqual([])
  })

  it('may serve several environments, each at its own place', () => {
    const more = replaced(
      'templates:\n',
      '  qa:\n    tickets: { provider: tickets, connection: tickets-main, workspace: qa-ws }\ntemplates:\n',
    )
    expect(result(more).issues).toEqual([])
  })

  it('only warns while no connection to it is stored', () => {
    const { issues } = result(GOOD, CONTEXT)
    expect(issues.map(({ severity }) => severity)).toEqual(['warning'])
  })
})

function said(before: string, after: string): readonly string[] {
  const all = changes(configurationOf(before), configurationOf(after), WORLD)
  return all.map(({ effect, message }) => `${effect} ${message}`)
}

const DELETE =
  '      - { name: tickets.delete, method: DELETE, path: "/v1/{workspace}/tickets/{id}", risk: destructive }\n'
const COPY = withOperation(
  '{ name: tickets.copy, method: POST, path: "/v1/{workspace}/copies", risk: write }',
)
const PURGE = withOperation(
  '{ name: tickets.purge, method: POST, path: "/v1/{workspace}/tickets/{id}", risk: destructive, when: { /type: purge } }',
)

type Changed = [name: string, after: string, there: readonly string[], back: readonly string[]]

const CHANGED: readonly Changed[] = [
  [
    'an operation that a class reaches',
    COPY,
    [
      'widens provider tickets: tickets.copy (POST /v1/{workspace}/copies) is new (write)',
      'widens template work: tickets may now tickets.copy in staging (write)',
    ],
    [
      'narrows provider tickets: tickets.copy (POST /v1/{workspace}/copies) is gone',
      'narrows template work: tickets may no longer tickets.copy in staging (write)',
    ],
  ],
  [
    'a risk lowered into a class that is allowed',
    replaced('risk: destructive', 'risk: write'),
    [
      'widens provider tickets: tickets.delete (DELETE /v1/{workspace}/tickets/{id}) now counts as write, was destructive',
      'widens template work: tickets may now tickets.delete in staging (write)',
    ],
    [
      'narrows provider tickets: tickets.delete (DELETE /v1/{workspace}/tickets/{id}) now counts as destructive, was write',
      'narrows template work: tickets may no longer tickets.delete in staging (destructive)',
    ],
  ],
  [
    'a dangerous case told apart by its body',
    PURGE,
    [
      'widens provider tickets: tickets.purge (POST /v1/{workspace}/tickets/{id} with {"/type":"purge"}) is new (destructive)',
    ],
    // Without its own name it is what its path says: writing, which is allowed.
    [
      'widens provider tickets: tickets.purge (POST /v1/{workspace}/tickets/{id} with {"/type":"purge"}) now counts as tickets.close',
    ],
  ],
  [
    'a host',
    replaced('[api.tickets.example]', '[api.tickets.example, eu.tickets.example]'),
    ['widens provider tickets: its credential now also goes to eu.tickets.example'],
    ['narrows provider tickets: host eu.tickets.example is gone'],
  ],
  [
    'the way of the credential',
    replaced('scheme: bearer', 'scheme: raw'),
    ['widens provider tickets: its credential is carried in another way'],
    ['widens provider tickets: its credential is carried in another way'],
  ],
  [
    'fewer parameters',
    replaced('tickets", risk: read', 'tickets", risk: read, query: [page]'),
    ['narrows provider tickets: tickets.list (GET /v1/{workspace}/tickets) has another query'],
    ['widens provider tickets: tickets.list (GET /v1/{workspace}/tickets) has another query'],
  ],
  [
    'variables',
    replaced('TICKETS_TOKEN:', 'TICKETS_URL: x, TICKETS_TOKEN:'),
    ['widens provider tickets: tasks now get TICKETS_URL'],
    ['narrows provider tickets: tasks no longer get TICKETS_URL'],
  ],
  [
    'what changes nothing that is possible',
    replaced('    operations:', '    check: { path: /v1/me }\n    operations:')
      .replace(DELETE, '')
      .replace('    operations:\n', `    operations:\n${DELETE}`),
    [
      'neutral provider tickets: operations is written differently',
      'neutral provider tickets: credentials are tried by another request',
    ],
    [
      'neutral provider tickets: operations is written differently',
      'neutral provider tickets: credentials are tried by another request',
    ],
  ],
]

describe('a change of a provider of one’s own', () => {
  it.each(CHANGED)('is told in meaning: %s', (_name, after, there, back) => {
    expect(said(GOOD, after)).toEqual(there)
    expect(said(after, GOOD)).toEqual(back)
  })

  it('is told where the provider is new, and where it goes', () => {
    const without = GOOD.replace(
      /providers:\n( {4}.*\n| {2}tickets:\n)+(?=environments)/,
      '',
    ).replace(/environments:.*/s, 'environments: {}\ntemplates: {}\n')
    expect(said(without, GOOD)).toContain(
      'widens provider tickets: is new: 3 operations at api.tickets.example, told apart by workspace',
    )
    expect(said(GOOD, without)).toContain('narrows provider tickets: is gone')
  })

  it('is a change of every template that may lead to it, and of no other', () => {
    const prints = (text: string) => {
      const configuration = configurationOf(text)
      const template = configuration.templates['work']
      if (!template) throw new Error('no template')
      return [fingerprint(template, configuration), definition(template, configuration)] as const
    }
    expect(prints(COPY)[0]).not.toBe(prints(GOOD)[0])
    expect(prints(GOOD)[1]['providers']).toBeDefined()
    const elsewhere = (text: string) =>
      text
        .replace('{ connection: tickets-main, workspace: staging-ws }', '{ provider: jwt }')
        .replace('[read, write]', '[read]')
    expect(prints(elsewhere(COPY))[0]).toBe(prints(elsewhere(GOOD))[0])
    expect(Object.keys(prints(elsewhere(GOOD))[1])).toEqual(['template', 'environments'])
  })
})
