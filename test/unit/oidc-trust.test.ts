import { describe, expect, it } from 'vitest'
import { checkTrust } from '../../src/core/trust/check.ts'
import type { TrustSource } from '../../src/core/trust/claims.ts'
import { compileTrust } from '../../src/core/trust/compile.ts'
import { explainFailure } from '../../src/core/trust/explain.ts'
import { issuerKind } from '../../src/core/trust/issuer.ts'
import { matchTrust } from '../../src/core/trust/match.ts'
import { PRESETS, presetOf } from '../../src/core/trust/presets.ts'
import { describeRun, runIdentity } from '../../src/core/trust/run.ts'
import { trustedIssuers } from '../../src/core/trust/trusted.ts'
import { tokenIdentity } from '../../src/identity/oidc/token-identity.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import {
  AUDIENCE,
  buildkiteClaims,
  circleciClaims,
  githubClaims,
  gitlabClaims,
} from '../fixtures/oidc-claims.ts'

const CI = 'https://ci.example'
const GITHUB = 'https://token.actions.githubusercontent.com'
const NOW = Date.UTC(2026, 10, 21, 12)

const source = (claims: unknown, more: Partial<TrustSource> = {}): TrustSource => ({
  issuer: CI,
  audience: null,
  claims: claims as TrustSource['claims'],
  ...more,
})
const compile = (one: TrustSource, plainLoopback = false) =>
  compileTrust(one, { ours: AUDIENCE, plainLoopback })

function refusal(one: TrustSource): unknown {
  try {
    compile(one)
    return 'compiled'
  } catch (error) {
    const { code, message, details } = error as { code: string; message: string; details: object }
    return { code, message, ...details }
  }
}

describe('a trust rule', () => {
  it('is not compiled unless its issuer is an https URL in its one plain form', () => {
    const wrong = [
      'http://ci.example',
      'HTTPS://ci.example',
      'https://CI.example',
      'https://ci.example:443',
      'https://ci.example/a/../b',
      'https://ci.example?x=1',
      'https://ci.example#x',
      'https://ci.example?',
      'https://user@ci.example',
      'https://ci.example.',
      'https://c\u0456.example', // Cyrillic
      'https://ci.example/\u00e9',
      ' https://ci.example',
      'ci.example',
      '//ci.example',
      'https://',
      `https://ci.example/${'x'.repeat(500)}`,
    ]
    for (const issuer of wrong) {
      expect(issuerKind(issuer), issuer).toBe(null)
      expect(refusal(source({ a: 'b' }, { issuer }))).toEqual({
        code: 'config_invalid',
        message: 'an issuer is an https URL in its plain form',
        path: ['issuer'],
      })
    }
    const right = [CI, `${CI}/`, `${CI}/org/1`, `${CI}:8443`, `${CI}/org/1/`, 'https://[::1]:8443']
    for (const issuer of right) expect(issuerKind(issuer), issuer).toBe('https')
  })

  it('takes plain http on this machine only from a caller who says so', () => {
    const local = source({ a: 'b' }, { issuer: 'http://127.0.0.1:9000' })
    expect(refusal(local)).toMatchObject({
      message: 'issuer "http://127.0.0.1:9000" is not reached over https',
    })
    expect(compile(local, true).issuer).toBe('http://127.0.0.1:9000')
    const away = source({ a: 'b' }, { issuer: 'http://127.0.0.1.evil.example' })
    expect(() => compile(away, true)).toThrow('an issuer is an https URL in its plain form')
  })

  it.each([
    ['no claim at all', {}, 'a rule names no claim', ['claims']],
    ['an empty list', { a: [] }, 'claim "a" has no value to compare with', ['claims', 'a']],
    ['nothing', { a: null }, 'claim "a" has no value to compare with', ['claims', 'a']],
    ['a list in a list', { a: [['b']] }, 'claim "a" has no value to compare with', ['claims', 'a']],
    ['no number', { a: Number.NaN }, 'claim "a" has no value to compare with', ['claims', 'a']],
    [
      'the issuer',
      { iss: CI },
      'claim "iss" cannot be named: it is what "issuer" says',
      ['claims', 'iss'],
    ],
    [
      'the audience',
      { aud: 'x' },
      'claim "aud" cannot be named: it is what "audience" says',
      ['claims', 'aud'],
    ],
    [
      'a time',
      { exp: 1 },
      'claim "exp" cannot be named: it is checked for every token',
      ['claims', 'exp'],
    ],
    [
      'the id of one token',
      { jti: 'x' },
      'claim "jti" cannot be named: it is another one in every token',
      ['claims', 'jti'],
    ],
    [
      'a pattern',
      { ref: 'refs/heads/*' },
      'there are no patterns here: values are compared exactly',
      ['claims', 'ref'],
    ],
    [
      'a pattern in a list',
      { ref: ['main', '*'] },
      'there are no patterns here: values are compared exactly',
      ['claims', 'ref', 1],
    ],
  ])('is not compiled with %s', (_, claims, message, path) => {
    expect(refusal(source(claims))).toEqual({ code: 'config_invalid', message, path })
  })

  it('is compiled from a copy', () => {
    const claims: Record<string, string | string[]> = { ref: ['main'] }
    const rule = compile(source(claims))
    claims['ref'] = 'other'
    expect([...(rule.claims.get('ref') ?? [])]).toEqual(['main'])
  })
})

describe('a rule for an issuer that signs for everyone', () => {
  const errors = (one: TrustSource) =>
    checkTrust(one, null)
      .filter(({ severity }) => severity === 'error')
      .map(({ message }) => message.split(':')[0])

  it.each([
    [GITHUB, { ref: 'refs/heads/main' }, ['name repository_id']],
    [GITHUB, { repository: 'octo-org/my-repo', ref: 'refs/heads/main' }, ['name repository_id']],
    [GITHUB, { repository_owner_id: '1', ref: 'refs/heads/main' }, ['name repository_id']],
    [GITHUB, { repository_id: '1' }, ['name ref, environment or job_workflow_ref']],
    [
      GITHUB,
      { repository_id: '1', event_name: 'push' },
      ['name ref, environment or job_workflow_ref'],
    ],
    [
      GITHUB,
      { sub: 'repo:octo-org/my-repo:ref:refs/heads/main' },
      ['name repository_id', 'name ref, environment or job_workflow_ref'],
    ],
    [
      GITHUB,
      { sub: 'repo:octo-org-1/my-repo-2:ref:refs/heads/main' },
      ['name repository_id', 'name ref, environment or job_workflow_ref'],
    ],
    [
      GITHUB,
      { sub: 'repo:octo-org-1/my-repo@2:ref:refs/heads/main' },
      ['name repository_id', 'name ref, environment or job_workflow_ref'],
    ],
    [
      GITHUB,
      { sub: 'repo:octo-org@1/my-repo-2:ref:refs/heads/main' },
      ['name repository_id', 'name ref, environment or job_workflow_ref'],
    ],
    [
      GITHUB,
      { sub: 'repo:octo-org@1/my-repo@2:pull_request' },
      ['name repository_id', 'name ref, environment or job_workflow_ref'],
    ],
    [
      GITHUB,
      { sub: ['repo:o@1/r@2:environment:prod', 'repo:o/r:environment:prod'] },
      ['name repository_id', 'name ref, environment or job_workflow_ref'],
    ],
    [GITHUB, { repository_id: 1, ref: 'refs/heads/main' }, ['github gives this claim as text']],
    [`${GITHUB}/octo-enterprise`, { ref: 'refs/heads/main' }, ['name repository_id']],
    ['https://token.actions.octocorp.ghe.com', { ref: 'refs/heads/main' }, ['name repository_id']],
    ['https://ghes.example/_services/token', { ref: 'refs/heads/main' }, ['name repository_id']],
    ['https://gitlab.com', { ref: 'main' }, ['name project_id', 'name ref_protected']],
    ['https://gitlab.com', { project_id: '20', ref: 'main' }, ['name ref_protected']],
    ['https://gitlab.com', { project_id: '20', ref_protected: 'false' }, ['name ref_protected']],
    [
      'https://gitlab.com',
      { project_id: '20', ref_protected: ['true', 'false'] },
      ['name ref_protected'],
    ],
    [
      'https://gitlab.com',
      { project_id: '20', ref_protected: true },
      ['gitlab gives this claim as text', 'name ref_protected'],
    ],
    [
      'https://agent.buildkite.com',
      { organization_slug: 'acme', pipeline_slug: 'app' },
      ['name organization_id and pipeline_id, and ask for them'],
    ],
    [
      'https://oidc.circleci.com/org/3c7ee0ba-4f5a-4d69-b0a2-4c0d2a3a1b3f',
      { 'oidc.circleci.com/project-id': 'x' },
      ['name oidc.circleci.com/project-id and oidc.circleci.com/vcs-origin'],
    ],
    ['https://accounts.google.com', { email: 'a@example.com' }, ['name sub']],
    ['https://app.terraform.io', { terraform_run_phase: 'apply' }, ['name terraform_workspace_id']],
  ])('%s: %j is too wide', (issuer, claims, expected) => {
    expect(errors(source(claims, { issuer }))).toEqual(expected)
    expect(refusal(source(claims, { issuer }))).toMatchObject({ code: 'config_invalid' })
  })

  it.each([
    [GITHUB, { repository_id: '1', ref: 'refs/heads/main', event_name: 'push' }],
    [
      GITHUB,
      { repository_owner_id: '1', job_workflow_ref: 'o/r/.github/workflows/d.yml@refs/heads/main' },
    ],
    [GITHUB, { sub: ['repo:o@1/r@2:environment:prod', 'repo:o@1/r@2:ref:refs/heads/main'] }],
    ['https://gitlab.com', { project_id: '20', environment_protected: 'true' }],
    ['https://ci.example', { a: 'b' }],
    ['https://accounts.google.com', { sub: '117' }],
  ])('%s: %j is narrow enough', (issuer, claims) => {
    expect(errors(source(claims, { issuer }))).toEqual([])
  })

  it('is warned about when a repository could be given away', () => {
    const named = source({ repository_id: '1', ref: 'refs/heads/main' }, { issuer: GITHUB })
    expect(checkTrust(named, null)).toEqual([
      {
        severity: 'warning',
        message: 'name repository_owner_id too: a repository keeps its id when it is given away',
        path: ['claims'],
      },
    ])
  })

  it('is known by its issuer: each preset by its own, and by no look-alike', () => {
    for (const preset of PRESETS) {
      if (preset.issuer !== null) expect(presetOf(preset.issuer)?.name).toBe(preset.name)
    }
    for (const issuer of [
      `${GITHUB}.evil.example`,
      'https://gitlab.com.example',
      'https://xgitlab.com',
    ]) {
      expect(presetOf(issuer)).toBe(null)
    }
  })
})

describe('matching', () => {
  const match = (claims: unknown, token: JsonObject, more: Partial<TrustSource> = {}) =>
    matchTrust([compile(source(claims, more))], { iss: CI, aud: AUDIENCE, ...token })
  const problem = (...args: Parameters<typeof match>) => {
    const found = match(...args)
    return found.matched ? 'matched' : found.failures.map(explainFailure).join('; ')
  }

  it('lets nobody in without a rule', () => {
    expect(matchTrust([], { iss: CI, aud: AUDIENCE })).toEqual({ matched: false, failures: [] })
  })

  it.each([
    [{ n: '1' }, { n: 1 }, 'claim "n" is the number 1, expected "1"'],
    [{ n: 1 }, { n: '1' }, 'claim "n" is "1", expected the number 1'],
    [{ n: 1 }, { n: true }, 'claim "n" is the truth value true, expected the number 1'],
    [{ n: true }, { n: 'true' }, 'claim "n" is "true", expected the truth value true'],
    [{ n: 0 }, { n: false }, 'claim "n" is the truth value false, expected the number 0'],
    [{ n: '' }, { n: null }, 'claim "n" is missing, expected ""'],
    [{ n: 'a' }, {}, 'claim "n" is missing, expected "a"'],
    [{ n: 'a' }, { n: ['a'] }, 'claim "n" is a list of 1, expected "a"'],
    [{ n: 'a' }, { n: { a: 'a' } }, 'claim "n" is an object, expected "a"'],
    [{ n: ['a', 'b'] }, { n: 'c' }, 'claim "n" is "c", expected "a" or "b"'],
    [{ n: 'a' }, { n: 'A' }, 'claim "n" is "A", expected "a"'],
    [{ n: 'a' }, { n: '\u0430' }, 'claim "n" is "\\u0430", expected "a"'],
    [{ toString: 'a' }, {}, 'claim "toString" is missing, expected "a"'],
    [{ constructor: 'a' }, {}, 'claim "constructor" is missing, expected "a"'],
  ])('%j does not let in %j', (claims, token, expected) => {
    expect(problem(claims, token as JsonObject)).toBe(expected)
  })

  it('takes the audience that the rule names and no other, not even ours', () => {
    const named = { audience: 'api://them' }
    expect(problem({ a: 'b' }, { a: 'b' }, named)).toBe(
      `claim "aud" is "${AUDIENCE}", expected "api://them"`,
    )
    expect(problem({ a: 'b' }, { a: 'b', aud: 'api://them' }, named)).toBe('matched')
    expect(problem({ a: 'b' }, { a: 'b', aud: ['api://them', AUDIENCE] }, named)).toBe(
      'claim "aud" has to be the one audience "api://them", found a list of 2',
    )
  })

  it('takes no claims of another issuer', () => {
    expect(problem({ a: 'b' }, { a: 'b', iss: `${CI}/` })).toBe(
      `claim "iss" is "${CI}/", expected "${CI}"`,
    )
  })

  it('refuses runs of outsiders on every rule that does not name the event', () => {
    const outsiders = [
      'pull_request_target',
      'issue_comment',
      'workflow_run',
      'pull_request',
      'fork',
    ]
    for (const event of outsiders) {
      expect(problem({ a: 'b' }, { a: 'b', event_name: event })).toBe(
        `claim "event_name" is "${event}": outsiders can start such runs, and the rule does not name it`,
      )
      expect(problem({ a: 'b', event_name: ['push', event] }, { a: 'b', event_name: event })).toBe(
        'matched',
      )
      expect(problem({ a: 'b', event_name: 'push' }, { a: 'b', event_name: event })).toBe(
        `claim "event_name" is "${event}", expected "push"`,
      )
    }
    expect(problem({ a: 'b' }, { a: 'b', event_name: 'push' })).toBe('matched')
  })

  it('says which rule it was, and of each of the others which claim', () => {
    const rules = [{ ref: 'main' }, { ref: 'dev', ok: true }, { ref: ['dev', 'test'] }].map(
      (claims) => compile(source(claims)),
    )
    expect(matchTrust(rules, { iss: CI, aud: AUDIENCE, ref: 'test' })).toEqual({
      matched: true,
      rule: 2,
    })
    expect(matchTrust(rules, { iss: CI, aud: AUDIENCE, ref: 'other' })).toEqual({
      matched: false,
      failures: [
        { rule: 0, claim: 'ref', problem: 'value', expected: ['main'], actual: 'other' },
        { rule: 1, claim: 'ref', problem: 'value', expected: ['dev'], actual: 'other' },
        { rule: 2, claim: 'ref', problem: 'value', expected: ['dev', 'test'], actual: 'other' },
      ],
    })
  })

  it('is explained without what a terminal would obey, and not at any length', () => {
    const line = problem({ a: 'b' }, { a: `\u001b[2J\u202e${'x'.repeat(5000)}` })
    expect(line).toMatch(/^[\x20-\x7e…]+$/)
    expect(line.length).toBeLessThan(200)
  })

  it('needs of the rules only their issuers and audiences to verify a token', () => {
    const rules = [
      compile(source({ a: 'b' })),
      compile(source({ a: 'c' }, { audience: 'x' })),
      compile(source({ a: 'b' }, { issuer: 'https://other.example' })),
    ]
    expect(trustedIssuers(rules)).toEqual(
      new Map([
        [CI, new Set([AUDIENCE, 'x'])],
        ['https://other.example', new Set([AUDIENCE])],
      ]),
    )
  })
})

describe('the identity of a run', () => {
  const github = githubClaims(GITHUB, NOW)

  it('is one for all tokens of a job, and another for each other job, attempt and run', () => {
    const key = runIdentity(github)
    expect(key).not.toBe(null)
    expect(runIdentity({ ...github, jti: 'another', iat: 1, exp: 2 })).toBe(key)
    for (const name of ['iss', 'repository_id', 'run_id', 'run_attempt', 'check_run_id']) {
      expect(runIdentity({ ...github, [name]: '999' }), name).not.toBe(key)
    }
    const gitlab = gitlabClaims('https://gitlab.com', NOW)
    expect(runIdentity(gitlab)).not.toBe(null)
    for (const name of ['iss', 'project_id', 'pipeline_id', 'job_id']) {
      expect(runIdentity({ ...gitlab, [name]: '999' }), name).not.toBe(runIdentity(gitlab))
    }
  })

  it('is not made up where the issuer does not name the run', () => {
    expect(runIdentity(circleciClaims(CI, NOW))).toBe(null)
    expect(runIdentity({ iss: CI, sub: 'someone' })).toBe(null)
    expect(runIdentity({ ...github, run_attempt: null })).toBe(null)
  })

  it('is shown as repository, ref, workflow and run', () => {
    expect(describeRun(github)).toEqual({
      repository: 'octo-org/my-repo',
      ref: 'refs/heads/main',
      workflow: 'octo-org/my-repo/.github/workflows/deploy.yml@refs/heads/main',
      run: '17000000001',
    })
    expect(describeRun(buildkiteClaims(CI, NOW))).toMatchObject({ ref: 'main', run: '1' })
    expect(describeRun(circleciClaims(CI, NOW))).toMatchObject({
      ref: 'refs/heads/main',
      run: null,
    })
    expect(describeRun({ iss: CI })).toEqual({
      repository: null,
      ref: null,
      workflow: null,
      run: null,
    })
  })
})

describe('the identity of a token', () => {
  const end = NOW + 300_000

  it('is its jti within its issuer, whatever was signed', () => {
    const id = (claims: JsonObject, signed = 'a.b') => tokenIdentity(claims, signed, end).id
    expect(id({ iss: CI, jti: '1' }, 'a.b')).toBe(id({ iss: CI, jti: '1' }, 'c.d'))
    expect(id({ iss: CI, jti: '1' })).not.toBe(id({ iss: CI, jti: '2' }))
    expect(id({ iss: CI, jti: '1' })).not.toBe(id({ iss: GITHUB, jti: '1' }))
    expect(id({ iss: CI }, 'a.b')).not.toBe(id({ iss: CI }, 'c.d'))
    // Not to be confused with a token whose jti was chosen to look so.
    expect(id({ iss: CI }, 'a.b')).not.toBe(id({ iss: CI, jti: 'a.b' }))
  })

  it('is remembered for longer than any check would take the token', () => {
    expect(tokenIdentity({ iss: CI }, 'a.b', end).keepUntil).toBe(end + 90_000)
  })
})
