import { describe, expect, it } from 'vitest'
import type { Configuration, Who } from '../../src/core/template.ts'
import { compile } from '../../src/templates/compile.ts'
import { readDocument } from '../../src/templates/read.ts'
import { testClaims } from '../../src/templates/test-claims.ts'
import { AUDIENCE, githubClaims } from '../fixtures/oidc-claims.ts'
import { CONTEXT } from './templates-fixture.ts'

const GITHUB = 'https://token.actions.githubusercontent.com'

const document = (rule: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
  deploy:
    environments: [ci]
    who:
      - oidc: ${rule}
    grants:
      api: { allow: [read] }
`

/** Errors and warnings as people see them. */
function issuesOf(rule: string): readonly string[] {
  const { document: read, issues } = readDocument(document(rule))
  const all = read ? compile(read, CONTEXT).issues : issues
  return all.map(({ severity, path, message, suggestion }) => {
    const near = suggestion === null ? '' : ` (${suggestion})`
    return `${severity} ${path.replace('templates.deploy.who.0.', '')}: ${message}${near}`
  })
}

function compiled(rule: string): Configuration {
  const { document: read } = readDocument(document(rule))
  const configuration = read && compile(read, CONTEXT).configuration
  if (!configuration) throw new Error(issuesOf(rule).join('\n'))
  return configuration
}

const whoOf = (rule: string): Who | undefined => compiled(rule).templates['deploy']?.who[0]

describe('an oidc rule in a template', () => {
  it.each([
    [
      '{ issuer: https://ci.example, claim: { a: b } }',
      [
        'error oidc.claims: "claims" is missing in "oidc"',
        'error oidc.claim: "claim" is not a key that a who rule has (claims)',
      ],
    ],
    [
      '{ isuer: https://ci.example, claims: { a: b } }',
      [
        'error oidc.issuer: "issuer" is missing: name it, or the preset github, gitlab or buildkite',
        'error oidc.isuer: "isuer" is not a key that a who rule has (issuer)',
      ],
    ],
    [
      '{ claims: { a: b } }',
      [
        'error oidc.issuer: "issuer" is missing: name it, or the preset github, gitlab or buildkite',
      ],
    ],
    [
      '{ preset: circleci, claims: { a: b } }',
      [
        'error oidc.issuer: "issuer" is missing: name it, or the preset github, gitlab or buildkite',
      ],
    ],
    [
      '{ preset: gitub, claims: { a: b } }',
      [
        'error oidc.preset: "preset" must be github, gitlab, buildkite or circleci, found "gitub" (github)',
      ],
    ],
    [
      '{ issuer: "https://CI.example", claims: { a: b } }',
      [
        'error oidc.issuer: "https://CI.example" is not accepted: an issuer is an https URL without query or password, in lower case and without a default port',
      ],
    ],
    [
      '{ issuer: https://ci.example, audience: [a, b], claims: { a: b } }',
      ['error oidc.audience: "audience" must be text, found a list'],
    ],
    ['{ issuer: https://ci.example, claims: { a: [] } }', ['error oidc.claims.a: "a" is empty']],
    [
      '{ issuer: https://ci.example, claims: { a: { b: c } } }',
      [
        'error oidc.claims.a: "a" must be text, a number, true or false, or a list of those, found a map of keys',
      ],
    ],
    [
      '{ issuer: https://ci.example, claims: { a: [b, { c: d }] } }',
      [
        'error oidc.claims.a.1: an entry of "a" must be text, a number, true or false, found a map of keys',
      ],
    ],
    [
      '{ issuer: https://ci.example, claims: { ref: [main, "release/*"] } }',
      ['error oidc.claims.ref.1: there are no patterns here: values are compared exactly'],
    ],
    [
      '{ issuer: https://ci.example, claims: { aud: us } }',
      ['error oidc.claims.aud: claim "aud" cannot be named: it is what "audience" says'],
    ],
    [
      `{ issuer: ${GITHUB}, claims: { repository: octo-org/my-repo, environment: production } }`,
      [
        'error oidc.claims: name repository_id: everyone on GitHub has tokens of this issuer, and a name can be taken over by someone else',
        'warning oidc.claims: name repository_owner_id too: a repository keeps its id when it is given away',
      ],
    ],
    [
      '{ preset: github, claims: { repository_id: 456789, repository_owner_id: "1", ref: refs/heads/main } }',
      ['error oidc.claims.repository_id: github gives this claim as text: put the value in quotes'],
    ],
    [
      '{ preset: gitlab, issuer: https://gitlab.own.example, claims: { project_id: "20" } }',
      [
        'error oidc.claims: name ref_protected: "true" or environment_protected: "true": otherwise a merge request of anyone may be let in',
      ],
    ],
    [
      '{ preset: gitlab, issuer: https://agent.buildkite.com, claims: { organization_id: a, pipeline_id: b } }',
      ['error oidc.preset: preset gitlab does not fit: this is an issuer of buildkite'],
    ],
    [
      '{ issuer: http://127.0.0.1:9000, claims: { a: b } }',
      [
        'warning oidc.issuer: issuer "http://127.0.0.1:9000" is not reached over https: only a server that was told to accept this will',
      ],
    ],
  ])('%s is told what is wrong', (rule, expected) => {
    expect(issuesOf(rule)).toEqual(expected)
  })

  it('is stored with its issuer, its exact values and its lists', () => {
    const rule =
      '{ preset: github, audience: us, claims: { repository_id: "456789", repository_owner_id: "123456", ref: [refs/heads/main, refs/heads/dev] } }'
    expect(issuesOf(rule)).toEqual([])
    expect(whoOf(rule)).toEqual({
      kind: 'oidc',
      issuer: GITHUB,
      audience: 'us',
      claims: {
        repository_id: '456789',
        repository_owner_id: '123456',
        ref: ['refs/heads/main', 'refs/heads/dev'],
      },
    })
  })

  it('as the contract writes it is taken, and keeps numbers and text apart', () => {
    const rule =
      '{ issuer: https://ci.example, audience: us, claims: { repository_id: "1", run: 1, ok: true, ref: refs/heads/main, event_name: push } }'
    expect(issuesOf(rule)).toEqual([])
    expect(whoOf(rule)).toMatchObject({ claims: { repository_id: '1', run: 1, ok: true } })
  })
})

describe('testing claims against templates', () => {
  const rule =
    '{ preset: github, claims: { repository_id: "456789", repository_owner_id: "123456", ref: refs/heads/main } }'
  const judged = (changed: object) => {
    const { templates } = compiled(rule)
    const claims = { ...githubClaims(GITHUB, 0), ...changed }
    return testClaims(Object.values(templates), claims, AUDIENCE)
  }

  it('says of each rule which claim does not let them in', () => {
    expect(judged({ ref: 'refs/heads/main-evil' })).toEqual([
      {
        template: 'deploy',
        rule: 0,
        failure: 'claim "ref" is "refs/heads/main-evil", expected "refs/heads/main"',
      },
    ])
    expect(judged({ event_name: 'issue_comment' })).toMatchObject([
      { failure: expect.stringContaining('outsiders can start such runs') },
    ])
  })

  it('says so when they are let in', () => {
    expect(judged({})).toEqual([{ template: 'deploy', rule: 0, failure: null }])
  })

  it('lets nobody in by a rule that an older version stored and this one would not take', () => {
    const [template] = Object.values(compiled(rule).templates)
    if (!template) throw new Error('no template')
    const who: readonly Who[] = [
      { kind: 'oidc', issuer: GITHUB, audience: null, claims: { repository: 'octo-org/my-repo' } },
    ]
    expect(testClaims([{ ...template, who }], githubClaims(GITHUB, 0), AUDIENCE)).toMatchObject([
      { failure: expect.stringContaining('the rule cannot be used: name repository_id') },
    ])
  })
})
