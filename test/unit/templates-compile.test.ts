import { describe, expect, it } from 'vitest'
import { STARTER } from '../../src/api/starter.ts'
import type { Configuration } from '../../src/core/template.ts'
import { canonicalJson, type JsonObject } from '../../src/lib/json.ts'
import { BUILTIN } from '../../src/templates/builtin.ts'
import { type CompileResult, compile } from '../../src/templates/compile.ts'
import type { CompileContext, ProviderFacts } from '../../src/templates/context.ts'
import { definition, fingerprint } from '../../src/templates/fingerprint.ts'
import { readDocument } from '../../src/templates/read.ts'
import { CONTEXT } from './templates-fixture.ts'

/** The example of the contract, word for word. */
const EXAMPLE = `version: 1
environments:
  staging:
    db:      { connection: pg-staging, schemas: [public] }
    railway: { connection: railway-main, project: 0f3…, environment: 7c1… }
    api:     { provider: jwt, audience: https://api.staging.example }
  production:
    protected: true
    railway: { connection: railway-main, project: 0f3…, environment: 9d2… }
templates:
  staging-dev:
    description: day-to-day work
    environments: [staging]
    ttl: 30m
    maxTtl: 4h
    isolation: mask             # the least that is accepted: scrub < mask < confine
    egress: open                # or a list of hosts; protected environments need a list
    unconfined: false           # true: accept approve rules at scrub, knowing what that means
    who: [local]                # and, for CI: { oidc: { issuer: …, audience: …, claims: { repository_id: "1", ref: refs/heads/main, event_name: push } } }
    grants:
      db:      { allow: [read, write] }
      railway: { allow: [read, deploymentRedeploy, variableUpsert], approve: [serviceDelete], deny: [] }
      api:     { allow: [orders:read] }
`

function compiled(text: string, context: CompileContext = CONTEXT): CompileResult {
  const { document, issues } = readDocument(text)
  expect(issues).toEqual([])
  if (!document) throw new Error('the document was not read')
  return compile(document, context)
}

function configurationOf(text: string): Configuration {
  const { configuration, issues } = compiled(text)
  if (!configuration) throw new Error(JSON.stringify(issues))
  return configuration
}

describe('compile', () => {
  it('gives no configuration where there is an error', () => {
    const { configuration, issues } = compiled(EXAMPLE.replace('[staging]', '[stagin]'))
    expect(configuration).toBeUndefined()
    expect(issues).toEqual([
      {
        severity: 'error',
        message: 'there is no environment "stagin"',
        line: 13,
        column: 20,
        path: 'templates.staging-dev.environments.0',
        suggestion: 'staging',
      },
    ])
  })

  it('compiles the example of the contract', () => {
    const { configuration, issues } = compiled(EXAMPLE)
    expect(issues).toEqual([])
    expect(configuration?.environments['production']?.protected).toBe(true)
    expect(configuration?.environments['staging']?.bindings['db']).toEqual({
      provider: null,
      connection: 'pg-staging',
      target: { schemas: ['public'] },
    })
    expect(configuration?.templates['staging-dev']).toEqual({
      name: 'staging-dev',
      description: 'day-to-day work',
      isDefault: false,
      environments: ['staging'],
      ttlMs: 1_800_000,
      maxTtlMs: 14_400_000,
      isolation: 'mask',
      egress: 'open',
      unconfined: false,
      who: [{ kind: 'local' }],
      approval: 'none',
      confirm: 'totp',
      approvalWaitMs: 60_000,
      maxLive: null,
      grants: {
        db: { allow: ['read', 'write'], approve: [], deny: [] },
        railway: {
          allow: ['read', 'deploymentRedeploy', 'variableUpsert'],
          approve: ['serviceDelete'],
          deny: [],
        },
        api: { allow: ['orders:read'], approve: [], deny: [] },
      },
    })
  })

  it('accepts every further key of the contract', () => {
    const { templates } = configurationOf(
      EXAMPLE.replace('isolation: mask ', 'isolation: confine ')
        .replace('egress: open ', 'egress: [API.example.com, "*.npm.example"] ')
        .replace(
          'who: [local] ',
          'who: [local, { oidc: { issuer: https://ci.example, claims: { repository_id: "1", pushed: true, run: 7 } } }] ',
        )
        .replace(
          '    grants:',
          '    default: true\n    approval: required\n    confirm: typed\n    approvalWait: 90s\n    maxLive: 3\n    grants:',
        ),
    )
    expect(templates['staging-dev']).toMatchObject({
      isDefault: true,
      isolation: 'confine',
      egress: ['api.example.com', '*.npm.example'],
      approval: 'required',
      confirm: 'typed',
      approvalWaitMs: 90_000,
      maxLive: 3,
      who: [
        { kind: 'local' },
        {
          kind: 'oidc',
          issuer: 'https://ci.example',
          audience: null,
          claims: { repository_id: '1', pushed: true, run: 7 },
        },
      ],
    })
  })

  it('fills in short lifetimes where a protected environment is among them', () => {
    const { templates } = configurationOf(`version: 1
environments:
  production: { protected: true, db: { connection: pg-staging } }
templates:
  look:
    environments: [production]
    isolation: mask
    egress: [db.example.com]
    grants: { db: { allow: [read] } }
`)
    expect(templates['look']).toMatchObject({ ttlMs: 1_800_000, maxTtlMs: 3_600_000 })
  })

  it('shortens the default ttl where maxTtl is shorter', () => {
    const text = EXAMPLE.replace('    ttl: 30m\n', '').replace('maxTtl: 4h', 'maxTtl: 10m')
    expect(configurationOf(text).templates['staging-dev']).toMatchObject({ ttlMs: 600_000 })
  })

  it('lets approve rules stand at scrub where that is said openly', () => {
    const text = EXAMPLE.replace('isolation: mask', 'isolation: scrub')
    expect(compiled(text).configuration).toBeUndefined()
    const open = text.replace('unconfined: false', 'unconfined: true')
    expect(configurationOf(open).templates['staging-dev']?.unconfined).toBe(true)
  })

  it('only warns about a connection that is not stored, and checks no operation of it', () => {
    const text = EXAMPLE.replace('[read, write]', '[anything]')
    const { configuration, issues } = compiled(text, { ...CONTEXT, connections: [] })
    expect(configuration).toBeDefined()
    expect(issues.map(({ severity, line }) => [severity, line])).toEqual([
      ['warning', 4],
      ['warning', 5],
      ['warning', 9],
    ])
    expect(issues[0]?.message).toBe(
      'connection "pg-staging" is not stored yet: its grants are refused until broker connect',
    )
  })

  it('shows nothing of an error that a provider did not write for people', () => {
    const throwing: ProviderFacts = {
      catalogue: { operations: new Map(), open: true },
      variables: () => [],
      parseTarget(): JsonObject {
        throw new TypeError('secret://inside')
      },
    }
    const providers = new Map([...CONTEXT.providers, ['jwt', throwing] as const])
    const { issues } = compiled(EXAMPLE, { ...CONTEXT, providers })
    expect(issues.map(({ message }) => message)).toEqual(['provider "jwt" refuses this target'])
  })

  it('gives plain JSON that survives being stored', () => {
    const configuration = configurationOf(EXAMPLE)
    const stored = JSON.parse(JSON.stringify(configuration)) as Configuration
    expect(stored).toEqual(configuration)
    expect(canonicalJson(stored as unknown as JsonObject)).toBe(
      canonicalJson(configuration as unknown as JsonObject),
    )
  })
})

describe('the starter', () => {
  it('applies on a machine that has nothing yet', () => {
    const { configuration, issues } = compiled(STARTER, { ...CONTEXT, connections: [] })
    expect(issues).toEqual([])
    expect(Object.keys(configuration?.templates ?? {})).toEqual(['day-to-day'])
  })

  it('still applies with everything in it that is commented out', () => {
    const all = STARTER.replaceAll(/^(\s*)# ((?: {2})?(?:db:|production:|protected:).*)$/gm, '$1$2')
      .replace('api: { allow: [read] }', 'api: { allow: [read] }')
      .replaceAll('pg-production', 'pg-staging')
    expect(all).not.toBe(STARTER)
    const { configuration, issues } = compiled(all)
    expect(issues.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(configuration?.environments['production']?.protected).toBe(true)
    expect(configuration?.templates['day-to-day']?.grants['db']?.deny).toEqual(['TRUNCATE'])
  })
})

describe('what holds with nothing applied', () => {
  it('is one default template that only reads, in three environments', () => {
    const template = BUILTIN.templates['default']
    expect(template?.isDefault).toBe(true)
    expect(template?.environments).toEqual(['dev', 'staging', 'production'])
    expect(template?.grants).toEqual({ api: { allow: ['read'], approve: [], deny: [] } })
    expect(Object.values(BUILTIN.environments).map((one) => [one.name, one.protected])).toEqual([
      ['dev', false],
      ['staging', false],
      ['production', true],
    ])
  })

  it('breaks no rule that a file would be held to, but the one it is exempt from', () => {
    const grants = 'grants: { api: { allow: [read] } }'
    const { issues } = compiled(`version: 1
environments:
  dev: { api: { provider: jwt } }
  staging: { api: { provider: jwt } }
  production: { protected: true, api: { provider: jwt } }
templates:
  default: { environments: [dev, staging, production], default: true, unconfined: true, ${grants} }
`)
    expect(issues.map(({ message }) => message)).toEqual([
      'environment "production" is protected: template "default" needs a list of hosts as egress',
    ])
  })
})

describe('fingerprint', () => {
  const before = configurationOf(EXAMPLE)
  const template = before.templates['staging-dev']
  if (!template) throw new Error('the example has lost its template')

  it('changes with an environment the template names, and not with another', () => {
    const elsewhere = configurationOf(EXAMPLE.replace('9d2…', 'aaa…'))
    const here = configurationOf(EXAMPLE.replace('7c1…', 'aaa…'))
    const same = fingerprint(template, before)
    expect(fingerprint(template, elsewhere)).toBe(same)
    expect(fingerprint(template, here)).not.toBe(same)
  })

  it('changes with the template, and not with the order of keys', () => {
    const longer = { ...template, ttlMs: template.ttlMs + 1 }
    expect(fingerprint(longer, before)).not.toBe(fingerprint(template, before))
    const turned = Object.fromEntries(Object.entries(template).reverse()) as typeof template
    expect(fingerprint(turned, before)).toBe(fingerprint(template, before))
    expect(fingerprint(template, before)).toMatch(/^[0-9a-f]{64}$/)
    expect(Object.keys(definition(template, before))).toEqual(['template', 'environments'])
  })
})
