import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestResult } from '../../src/api/types.ts'
import { githubClaims } from '../fixtures/oidc-claims.ts'
import { part } from '../fixtures/oidc-issuer.ts'
import { Product } from '../fixtures/product.ts'
import { Served } from '../fixtures/serve.ts'

const GITHUB = 'https://token.actions.githubusercontent.com'
const GOOD = githubClaims(GITHUB, Date.now())
const ESCAPE = '\u001b[31m'

const document = (templates: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
${templates}`

const template = (name: string, rules: readonly string[]) => `  ${name}:
    environments: [ci]
    who:
${rules.map((rule) => `      - ${rule}`).join('\n')}
    grants: { api: { allow: [read] } }
`
const rule = (claims: string, more = '') =>
  `oidc: { preset: github, ${more}claims: { repository_id: "456789", repository_owner_id: "123456", ${claims} } }`
const MAIN = rule('ref: refs/heads/main')

let broker: Product
beforeAll(() => {
  broker = new Product()
})
afterAll(() => broker?.dispose())

function file(name: string, text: string): string {
  const path = join(broker.folder, name)
  writeFileSync(path, text)
  return path
}
const claims = (changed: object = {}) => JSON.stringify({ ...GOOD, ...changed })
const test = (yaml: string, input: string, flags: readonly string[] = []) =>
  broker.run(['template', 'test', file('broker.yaml', yaml), '--claims', '-', ...flags], { input })

describe('template test refuses', () => {
  const yaml = document(template('deploy', [MAIN]))

  it.each([
    [
      'a claim of another value',
      { ref: 'refs/heads/x' },
      'claim "ref" is "refs/heads/x", expected "refs/heads/main"',
    ],
    [
      'a number for a text',
      { repository_id: 456789 },
      'claim "repository_id" is the number 456789, expected "456789"',
    ],
    ['another issuer', { iss: `${GITHUB}/` }, `claim "iss" is "${GITHUB}/", expected "${GITHUB}"`],
    [
      'several audiences',
      { aud: ['a', 'b'] },
      `claim "aud" has to be the one audience "the broker's public URL", found a list of 2`,
    ],
    [
      'a run that outsiders can start',
      { event_name: 'pull_request_target' },
      'claim "event_name" is "pull_request_target": outsiders can start such runs, and the rule does not name it',
    ],
  ])('%s, with exit code 3 and the claim', async (_, changed, says) => {
    const { status, out } = await test(yaml, claims(changed))
    expect(out).toBe(`templates.deploy.who.0: no, ${says}\nno rule lets it in\n`)
    expect(status).toBe(3)
  })

  it('a missing claim, and a token for another server', async () => {
    const { ref: _, ...rest } = GOOD
    const missing = await test(yaml, JSON.stringify(rest))
    expect(missing.out).toContain('claim "ref" is missing, expected "refs/heads/main"')
    const other = await test(yaml, claims(), ['--audience', 'https://other.example'])
    expect(other.out).toContain(
      'claim "aud" is "https://broker.example", expected "https://other.example"',
    )
    expect([missing.status, other.status]).toEqual([3, 3])
  })

  it('everything where no template has an oidc rule', async () => {
    const { status, out } = await test(document(template('own', ['local'])), claims())
    expect([status, out]).toEqual([
      3,
      'no template has an oidc rule under who: no token is let in\n',
    ])
  })

  it('a file with errors as template check does, with exit code 1', async () => {
    const wide = document(template('deploy', ['oidc: { preset: github, claims: { ref: x } }']))
    const { status, out, err } = await test(wide, claims())
    expect([status, out]).toEqual([1, ''])
    expect(err).toMatch(/broker\.yaml:\d+:\d+: error: name repository_id/)
    expect(err).toContain('has 1 error\nhint: ')
  })

  it.each([
    ['no JSON', 'hello', 'it is not valid JSON'],
    ['a list', '[1]', 'it is no JSON object'],
    ['a key twice', '{"ref":"a","ref":"b"}', 'a key stands twice in one JSON object'],
    ['nothing', '', 'it is not valid JSON'],
    ['a token whose payload is no JSON', `${part({})}.${part('{')}.x`, 'it is not valid JSON'],
  ])('claims that are %s, with exit code 1 and without quoting them', async (_, input, why) => {
    const { status, out, err } = await test(yaml, input)
    expect(err).toContain(`broker: "standard input" holds no claims: ${why}\nhint: `)
    expect([status, out]).toEqual([1, ''])
    if (input.length > 5) expect(err).not.toContain(input)
  })

  it('a token in the command line, without repeating it', async () => {
    const token = `${part({ alg: 'RS256' })}.${part(GOOD)}.canary5f2e`
    const args = ['template', 'test', file('broker.yaml', yaml), '--claims', token]
    const { status, out, err } = await broker.run(args)
    expect(err).toMatch(/^broker: --claims takes the name of a file, not a token\nhint: /)
    expect(out + err).not.toContain('canary5f2e')
    expect(status).toBe(2)
  })

  it('one standard input for both files', async () => {
    const { status, err } = await broker.run(['template', 'test', '-', '--claims', '-'])
    expect(err).toContain('broker: FILE and --claims cannot both be standard input\nhint: ')
    expect(status).toBe(2)
  })
})

describe('template test', () => {
  const two = [rule('environment: staging'), MAIN]

  it('says which rule lets the token in, of a file that is not applied', async () => {
    const { status, out, err } = await test(document(template('deploy', two)), claims())
    expect(out).toBe(
      'templates.deploy.who.0: no, claim "environment" is "production", expected "staging"\n' +
        'templates.deploy.who.1: lets it in\nenvironment ci, by template deploy\n',
    )
    expect(err).toContain('note: signature and times are not checked\n')
    expect(err).toContain('note: rules without an audience take the public URL of the server')
    expect(status).toBe(0)
    expect((await broker.must(['template', 'list'])).out).not.toContain('deploy')
  })

  it('takes a whole token, and says that it is not verified', async () => {
    const token = `${part({ alg: 'RS256' })}.${part(GOOD)}.AAAA\n`
    const path = file('token.jwt', token)
    const yaml = file('broker.yaml', document(template('deploy', [MAIN])))
    const flags = ['--claims', path, '--audience', 'https://broker.example']
    const { status, err } = await broker.run(['template', 'test', yaml, ...flags])
    expect(err).toBe(
      'note: signature and times are not checked: of the token, only its claims were read\n',
    )
    expect(status).toBe(0)
  })

  it('obeys the audience that a rule names, whatever the flag says', async () => {
    const named = template('deploy', [
      rule('ref: refs/heads/main', 'audience: https://a.example, '),
    ])
    const flags = ['--audience', 'https://broker.example']
    const { out } = await test(document(named), claims(), flags)
    expect(out).toContain('claim "aud" is "https://broker.example", expected "https://a.example"')
    expect((await test(document(named), claims({ aud: 'https://a.example' }), flags)).status).toBe(
      0,
    )
  })

  it('warns of two templates of one environment that let it in', async () => {
    const yaml = document(template('deploy', [MAIN]) + template('other', two))
    const { status, out, err } = await test(yaml, claims())
    expect(out).toContain('\nenvironment ci, by template deploy, other\n')
    expect(err).toContain('warning: 2 templates let it into "ci" (deploy, other): name one')
    expect(status).toBe(0)
  })

  it('shows what strangers wrote without obeying it', async () => {
    const yaml = document(template('deploy', [MAIN]))
    const { out } = await test(yaml, claims({ ref: `${ESCAPE}refs/heads/main` }))
    expect(out).toContain('claim "ref" is "\\u001b[31mrefs/heads/main"')
    expect(out).not.toContain('\u001b')
  })

  it('answers programs with --json', async () => {
    const yaml = document(template('deploy', two))
    const { status, out } = await test(yaml, claims(), ['--json'])
    const { issues, ...result } = JSON.parse(out) as TestResult
    expect(issues.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(result).toEqual({
      ok: true,
      audience: { value: 'https://broker.example', from: 'claims' },
      rules: [
        {
          template: 'deploy',
          rule: 0,
          matched: false,
          failure: 'claim "environment" is "production", expected "staging"',
        },
        { template: 'deploy', rule: 1, matched: true, failure: null },
      ],
      admitted: [{ environment: 'ci', templates: ['deploy'] }],
      unchecked: ['signature', 'times'],
    })
    expect(status).toBe(0)
    const refused = await test(yaml, claims({ ref: 'x' }), ['--json'])
    expect(refused.status).toBe(3)
    expect((JSON.parse(refused.out) as TestResult).admitted).toEqual([])
  })
})

describe('template test --server', () => {
  it('needs the operator’s key, and compares with the audience of that server', async () => {
    const served = await Served.start(null)
    try {
      const yaml = file('broker.yaml', document(template('deploy', [MAIN])))
      const at = (input: string, env: NodeJS.ProcessEnv = {}) => {
        const flags = ['--server', served.url, '--ca-file', served.caFile]
        return broker.run(['template', 'test', yaml, '--claims', '-', ...flags], { input, env })
      }
      const stranger = await at(claims())
      expect([stranger.status, stranger.out]).toEqual([3, ''])
      const key = { BROKER_OPERATOR_KEY: served.operatorKey }
      const other = await at(claims(), key)
      expect(other.out).toContain(
        `claim "aud" is "https://broker.example", expected "${served.url}"`,
      )
      expect(other.status).toBe(3)
      expect((await at(claims({ aud: served.url }), key)).status).toBe(0)
    } finally {
      await served.dispose()
    }
  })
})
