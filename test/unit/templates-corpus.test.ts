import { describe, expect, it } from 'vitest'
import type { Issue } from '../../src/api/types.ts'
import { compile } from '../../src/templates/compile.ts'
import { readDocument } from '../../src/templates/read.ts'
import { CONTEXT } from './templates-fixture.ts'

/** Line 1 is `version: 1`; what a row gives stands below it. */
const ENVIRONMENTS = `environments:
  staging:
    db: { connection: pg-staging, schemas: [public] }
    api: { provider: jwt }
`
const TEMPLATES = `templates:
  work:
    environments: [staging]
    grants:
      db: { allow: [read] }
`

interface Bad {
  readonly name: string
  /** The whole document. */
  readonly yaml: string
  readonly severity?: 'warning'
  /** A part of the message. */
  readonly message: string
  /** `line:column` */
  readonly at: string
  readonly suggestion?: string
}

/** A good document with lines added to its one template (from line 11 on). */
function withTemplate(lines: string): string {
  return `version: 1\n${ENVIRONMENTS}${TEMPLATES}${lines.replaceAll(/^/gm, '    ')}\n`
}
/** A good document with its one rule replaced (line 10, column 11). */
function withRule(rule: string): string {
  return withTemplate('').replace('{ allow: [read] }', rule)
}
/** A good document with its one database binding replaced (line 4, column 9). */
function withBinding(binding: string): string {
  return withTemplate('').replace('{ connection: pg-staging, schemas: [public] }', binding)
}
/** A protected production (line 6) beside staging; the template serves both from line 10 on. */
function withProduction(lines: string): string {
  const place = '  production: { protected: true, db: { connection: pg-staging } }\n'
  return withTemplate(lines)
    .replace('templates:', `${place}templates:`)
    .replace('[staging]', '[staging, production]')
}

const BAD: readonly Bad[] = [
  // Text
  { name: 'an empty file', yaml: '', message: 'the file is empty', at: '1:1' },
  { name: 'only a comment', yaml: '# soon\n', message: 'the file is empty', at: '1:1' },
  { name: 'binary', yaml: '\x7fELF\x01\x00', message: 'unprintable character U+007F', at: '1:1' },
  { name: 'a NUL', yaml: 'version: 1\nx: a\0b', message: 'U+0000', at: '2:5' },
  { name: 'reordered text', yaml: '# \u202e hidden', message: 'U+202E', at: '1:3' },
  { name: '2 MB', yaml: '#'.repeat(2_000_000), message: 'larger than 1 MiB', at: '1:1' },
  { name: 'a list', yaml: '- a\n', message: 'must be a map of keys, found a list', at: '1:1' },
  { name: 'plain text', yaml: 'hello', message: 'must be a map of keys, found "hello"', at: '1:1' },
  // Syntax
  { name: 'a tab', yaml: 'a:\n\t- b\n', message: 'a tab stands here', at: '2:1' },
  { name: 'an open quote', yaml: 'a: "x\n', message: 'something is missing here', at: '2:1' },
  { name: 'an open bracket', yaml: 'a: [b\n', message: 'a bracket before this is not', at: '2:1' },
  { name: 'two colons', yaml: 'a: b: c\n', message: 'put the text in quotes', at: '1:4' },
  { name: 'a reserved start', yaml: 'a: @b\n', message: 'put it in quotes', at: '1:4' },
  { name: 'two documents', yaml: 'a: 1\n---\nb: 1\n', message: 'only one document', at: '2:1' },
  { name: 'more after the end', yaml: 'a: 1\n...\nb: 1', message: 'only one document', at: '3:1' },
  { name: 'YAML 1.1', yaml: '%YAML 1.1\n---\na: 1', message: 'only YAML 1.2', at: '1:1' },
  // YAML that is more than data
  { name: 'an alias', yaml: 'a: &x 1\nb: *x\n', message: 'aliases are not accepted', at: '2:4' },
  { name: 'a tag', yaml: 'a: !!js/function x', message: 'tags are not accepted', at: '1:4' },
  { name: 'a core tag', yaml: 'a: 1\nb: !!str 1', message: 'tags are not accepted', at: '2:10' },
  { name: 'a merge key', yaml: 'a: 1\n<<: { b: 1 }', message: 'merge keys are not', at: '2:1' },
  {
    name: 'a key that is a list',
    yaml: '? [a, b]\n: 1',
    message: 'a key has to be text',
    at: '1:3',
  },
  { name: 'a key that is a number', yaml: 'a:\n  1: x', message: 'quotes', at: '2:3' },
  { name: 'a key that is true', yaml: 'true: x', message: '"true" is read as true or', at: '1:1' },
  { name: 'no key', yaml: 'a: 1\n: 2', message: 'a key is missing', at: '2:1' },
  { name: '__proto__', yaml: 'a: 1\n__proto__: {}', message: 'cannot be a key', at: '2:1' },
  { name: 'an escaped control', yaml: 'a: "\\e[2J"', message: 'U+001B', at: '1:4' },
  { name: 'half a character', yaml: 'a: "\\ud800"', message: 'not valid Unicode', at: '1:4' },
  { name: '1e3', yaml: 'a: 1e3', message: '"1e3" is read as the number 1000', at: '1:4' },
  { name: 'an octal', yaml: 'a: 0o17', message: '"0o17" is read as the number 15', at: '1:4' },
  { name: 'leading zeros', yaml: 'a: 007', message: '"007" is read as the number 7', at: '1:4' },
  { name: 'a long number', yaml: 'a: 12345678901234567890', message: 'in quotes', at: '1:4' },
  { name: 'infinity', yaml: 'a: .inf', message: 'is read as the number Infinity', at: '1:4' },
  {
    name: 'a duplicate key',
    yaml: withTemplate('ttl: 1m\nttl: 8h'),
    message: '"ttl" stands here twice',
    at: '12:5',
  },
  // Shape
  {
    name: 'no version',
    yaml: `${ENVIRONMENTS}${TEMPLATES}`,
    message: '"version" is missing',
    at: '1:1',
  },
  { name: 'version 2', yaml: 'version: 2', message: '"version" must be 1, found', at: '1:10' },
  {
    name: 'an unknown key',
    yaml: `version: 1\ntemplate: {}\n${ENVIRONMENTS}${TEMPLATES}`,
    message: '"template" is not a key that the document has',
    at: '2:1',
    suggestion: 'templates',
  },
  {
    name: 'an unknown key of a template',
    yaml: withTemplate('tll: 30m'),
    message: '"tll" is not a key that a template has',
    at: '11:5',
    suggestion: 'ttl',
  },
  {
    name: 'a key every object has',
    yaml: withTemplate('toString: 1'),
    message: '"toString" is not a key',
    at: '11:5',
  },
  {
    name: 'an unknown key of a grant',
    yaml: withRule('{ allow: [read], denny: [write] }'),
    message: '"denny" is not a key that a grant has',
    at: '10:28',
    suggestion: 'deny',
  },
  {
    name: 'no grants',
    yaml: withTemplate('').replace(/ {4}grants:\n.*\n/, ''),
    message: '"grants" is missing in "work"',
    at: '7:3',
  },
  {
    name: 'empty grants',
    yaml: withTemplate('').replace(/grants:\n.*\n/, 'grants: {}\n'),
    message: 'name at least one grant',
    at: '9:5',
  },
  {
    name: 'text for a list',
    yaml: withRule('{ allow: read }'),
    message: '"allow" must be a list, found "read"',
    at: '10:20',
  },
  {
    name: 'nothing for a list',
    yaml: withTemplate('who: []'),
    message: '"who" is empty',
    at: '11:10',
  },
  {
    name: 'nothing for a map',
    yaml: withBinding(''),
    message: '"db" must be a map of keys, found nothing',
    at: '4:9',
  },
  {
    name: 'a number for a duration',
    yaml: withTemplate('ttl: 30'),
    message: '"ttl" must be text, found the number 30: a duration is written like',
    at: '11:10',
  },
  {
    name: 'words for a duration',
    yaml: withTemplate('ttl: half an hour'),
    message: '"half an hour" is not accepted: a duration is written like 90s, 30m or 1h30m',
    at: '11:10',
  },
  {
    name: 'no time at all',
    yaml: withTemplate('approvalWait: 0s'),
    message: 'is more than nothing',
    at: '11:19',
  },
  {
    name: 'yes for true',
    yaml: withTemplate('unconfined: yes'),
    message: '"unconfined" must be true or false, found "yes"',
    at: '11:17',
    suggestion: 'true',
  },
  {
    name: 'a wrong choice',
    yaml: withTemplate('isolation: masks'),
    message: '"isolation" must be scrub, mask or confine, found "masks"',
    at: '11:16',
    suggestion: 'mask',
  },
  {
    name: 'a wrong who',
    yaml: withTemplate('who: [locla]'),
    message: 'an entry of "who" must be "local" or an oidc rule',
    at: '11:11',
    suggestion: 'local',
  },
  {
    name: 'an oidc rule that lets everyone in',
    yaml: withTemplate('who: [{ oidc: { issuer: https://ci.example, claims: {} } }]'),
    message: 'name at least one claim',
    at: '11:49',
  },
  {
    name: 'an issuer in the clear',
    yaml: withTemplate('who: [{ oidc: { issuer: http://ci.example, claims: { a: b } } }]'),
    message: 'an issuer is an https URL',
    at: '11:29',
  },
  {
    name: 'a URL for a host',
    yaml: withTemplate('egress: [https://api.example.com]'),
    message: 'a host is written like api.example.com',
    at: '11:14',
  },
  {
    name: 'a wildcard over everything',
    yaml: withTemplate('egress: ["*.com"]'),
    message: '"*.com" is not accepted',
    at: '11:14',
  },
  {
    name: 'no live leases at all',
    yaml: withTemplate('maxLive: 0'),
    message: '"maxLive" must be at least 1',
    at: '11:14',
  },
  {
    name: 'a grant with quotes and a semicolon',
    yaml: withTemplate('').replace('    db:', '    "db\'; DROP":'),
    message: '"db\'; DROP" cannot be a name',
    at: '4:5',
  },
  {
    name: 'an environment with a space',
    yaml: withTemplate('').replace('  staging:', '  "my staging":'),
    message: '"my staging" cannot be a name: a name has letters',
    at: '3:3',
  },
  {
    name: 'a reserved name',
    yaml: withTemplate('').replace('  staging:', '  constructor:'),
    message: '"constructor" cannot be a name: the word is reserved',
    at: '3:3',
  },
  {
    name: 'a connection with a semicolon',
    yaml: withBinding('{ connection: "pg;drop" }'),
    message: '"pg;drop" is not accepted: a name has letters',
    at: '4:23',
  },
  {
    name: 'a whole URL for a connection, without repeating its password',
    yaml: withBinding('{ connection: "postgres://admin:hunter2@db.example/app" }'),
    message: '"postgres://…@db.example/app" is not accepted: a name has letters',
    at: '4:23',
  },
  // Meaning
  {
    name: 'an unknown environment',
    yaml: withTemplate('').replace('[staging]', '[staging, stagin]'),
    message: 'there is no environment "stagin"',
    at: '8:29',
    suggestion: 'staging',
  },
  {
    name: 'a grant without a place',
    yaml: withTemplate('').replace('      db: {', '      dbb: {'),
    message: 'grant "dbb" has no place in any environment of template "work"',
    at: '10:7',
    suggestion: 'db',
  },
  {
    name: 'a grant with a place in some environments',
    severity: 'warning',
    yaml: withTemplate('')
      .replace('templates:', '  dev: { api: { provider: jwt } }\ntemplates:')
      .replace('[staging]', '[staging, dev]'),
    message: 'grant "db" has no place in "dev": leases there are without it',
    at: '11:7',
  },
  {
    name: 'a grant that allows nothing',
    severity: 'warning',
    yaml: withRule('{ deny: [write] }'),
    message: 'grant "db" allows nothing',
    at: '10:7',
  },
  {
    name: 'a binding to nothing',
    yaml: withBinding('{ schemas: [public] }'),
    message: '"db" needs a connection, or a provider',
    at: '4:5',
  },
  {
    name: 'an unknown provider',
    yaml: withBinding('{ provider: postgers, connection: pg-staging }'),
    message: 'there is no provider "postgers"',
    at: '4:21',
    suggestion: 'postgres',
  },
  {
    name: 'a provider without its connection',
    yaml: withBinding('{ provider: postgres }'),
    message: 'provider "postgres" needs a connection',
    at: '4:5',
  },
  {
    name: 'a connection of another provider',
    yaml: withBinding('{ provider: railway, connection: pg-staging }'),
    message: 'connection "pg-staging" is of provider "postgres", not "railway"',
    at: '4:42',
  },
  {
    name: 'a connection of a provider that is gone',
    yaml: withBinding('{ connection: old-cloud }'),
    message: 'provider "gone" of connection "old-cloud" is not in this version',
    at: '4:23',
  },
  {
    name: 'a connection that is not stored',
    severity: 'warning',
    yaml: withBinding('{ connection: pg-stagin }'),
    message: 'connection "pg-stagin" is not stored yet',
    at: '4:23',
    suggestion: 'pg-staging',
  },
  {
    name: 'a target the provider refuses',
    yaml: withBinding('{ connection: pg-staging, schema: [public] }'),
    message: 'this target has no "schema"',
    at: '4:35',
    suggestion: 'schemas',
  },
  {
    name: 'an unknown operation',
    yaml: withRule('{ allow: [read, DELET] }'),
    message: 'provider "postgres" has no operation "DELET"',
    at: '10:27',
    suggestion: 'DELETE',
  },
  {
    name: 'an unknown operation in deny',
    yaml: withRule('{ allow: [read], deny: [TRUNKATE] }'),
    message: 'provider "postgres" has no operation "TRUNKATE"',
    at: '10:35',
    suggestion: 'TRUNCATE',
  },
  {
    name: 'a glob for what has to be named',
    yaml: withRule('{ allow: ["DEL*"] }'),
    message: '"DEL*" matches only operations that have to be named exactly or by class',
    at: '10:21',
    suggestion: 'DELETE',
  },
  {
    name: 'two grants that set one variable',
    yaml: withTemplate('')
      .replace('    api:', '    web: { provider: jwt }\n    api:')
      .replace(
        '{ allow: [read] }',
        '{ allow: [read] }\n      web: { allow: [a] }\n      api: { allow: [b] }',
      ),
    message: 'grants "web" and "api" both set BROKER_ACCESS_TOKEN in environment "staging"',
    at: '13:7',
  },
  {
    name: 'a ttl beyond its maxTtl',
    yaml: withTemplate('ttl: 2h\nmaxTtl: 1h'),
    message: 'ttl 2h is longer than maxTtl 1h',
    at: '11:10',
  },
  {
    name: 'a ttl beyond the default maxTtl',
    yaml: withTemplate('ttl: 5h'),
    message: 'ttl 5h is longer than maxTtl 4h',
    at: '11:10',
  },
  {
    name: 'a maxTtl beyond the cap',
    yaml: withTemplate('maxTtl: 9h'),
    message: 'maxTtl 9h is longer than 8h',
    at: '11:13',
  },
  {
    name: 'a ttl nobody can use',
    yaml: withTemplate('ttl: 5ms'),
    message: 'ttl 5ms is shorter than 1s',
    at: '11:10',
  },
  {
    name: 'more than an hour where it is protected',
    yaml: withProduction('maxTtl: 2h\negress: []\nisolation: mask'),
    message: 'maxTtl 2h is longer than 1h, because "production" is protected',
    at: '12:13',
  },
  {
    name: 'open egress where it is protected',
    yaml: withProduction('isolation: mask'),
    message: 'environment "production" is protected: template "work" needs a list of hosts',
    at: '8:3',
  },
  {
    name: 'scrub where it is protected',
    yaml: withProduction('egress: []'),
    message: 'needs isolation mask or more, because environment "production" is protected',
    at: '8:3',
  },
  {
    name: 'approve rules at scrub',
    yaml: withRule('{ approve: [write] }').concat('    isolation: scrub\n'),
    message: 'needs isolation mask or more, because it has approve rules',
    at: '12:16',
  },
  {
    name: 'two defaults in one environment',
    yaml: withTemplate('default: true\n').concat(
      '  other: { environments: [staging], default: true, grants: { db: { allow: [read] } } }\n',
    ),
    message: 'templates "work" and "other" are both default in environment "staging"',
    at: '13:37',
  },
]

function issuesOf(text: string): readonly Issue[] {
  const { document, issues } = readDocument(text)
  return document ? compile(document, CONTEXT).issues : issues
}

describe('a bad broker.yaml', () => {
  it.each(BAD)('says where and what: $name', ({ yaml, severity, message, at, suggestion }) => {
    const issues = issuesOf(yaml)
    const found = issues.find((issue) => issue.message.includes(message))
    expect(found, JSON.stringify(issues, null, 1)).toBeDefined()
    expect(`${found?.line}:${found?.column}`).toBe(at)
    expect(found?.severity).toBe(severity ?? 'error')
    expect(found?.suggestion ?? null).toBe(suggestion ?? null)
  })

  it('is refused whole: no document, or no configuration, comes of it', () => {
    for (const { yaml, severity } of BAD) {
      const { document } = readDocument(yaml)
      const configuration = document && compile(document, CONTEXT).configuration
      expect(configuration !== undefined).toBe(severity === 'warning')
    }
  })

  it('lists all its problems at once, in order of position', () => {
    const issues = issuesOf(`${withTemplate('ttl: 0m\nisolaton: mask\nmaxLive: many')}foo: 1\n`)
    expect(issues.map(({ line }) => line)).toEqual([11, 12, 13, 14])
  })

  it('has few enough different rows to be read, and enough to matter', () => {
    expect(BAD.length).toBeGreaterThanOrEqual(40)
    expect(new Set(BAD.map(({ name }) => name)).size).toBe(BAD.length)
  })
})

describe('the document the rows start from', () => {
  it('is good', () => {
    expect(issuesOf(withTemplate(''))).toEqual([])
    expect(issuesOf(withProduction('egress: []\nisolation: mask'))).toEqual([])
  })
})
