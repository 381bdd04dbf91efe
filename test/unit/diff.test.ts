import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '../../src/core/decide.ts'
import type { Binding, Configuration, Template, Who } from '../../src/core/template.ts'
import { canonicalJson, type Json } from '../../src/lib/json.ts'
import { BUILTIN } from '../../src/templates/builtin.ts'
import { factsOf } from '../../src/templates/context.ts'
import { changes } from '../../src/templates/diff.ts'
import { CONTEXT } from './templates-fixture.ts'

const DB: Binding = {
  provider: null,
  connection: 'pg-staging',
  target: { schemas: ['public'] },
}

const WORK: Template = {
  name: 'work',
  description: '',
  isDefault: false,
  environments: ['staging'],
  ttlMs: 1_800_000,
  maxTtlMs: 14_400_000,
  isolation: 'mask',
  egress: ['api.example.com'],
  unconfined: false,
  who: [{ kind: 'local' }],
  approval: 'required',
  confirm: 'totp',
  approvalWaitMs: 60_000,
  maxLive: 5,
  grants: { db: { allow: ['read'], approve: ['DELETE'], deny: ['TRUNCATE'] } },
}

const BEFORE: Configuration = {
  environments: {
    staging: { name: 'staging', protected: false, bindings: { db: DB } },
    production: { name: 'production', protected: true, bindings: { db: DB } },
  },
  templates: { work: WORK },
  providers: {},
}

function withTemplate(lists: Partial<Template>): Configuration {
  return { ...BEFORE, templates: { work: { ...WORK, ...lists } } }
}
function withRule(lists: Partial<Template['grants'][string]>): Configuration {
  const rule = { allow: ['read'], approve: ['DELETE'], deny: ['TRUNCATE'], ...lists }
  return withTemplate({ grants: { db: rule } })
}
function withStaging(lists: Partial<Configuration['environments'][string]>): Configuration {
  const staging = { name: 'staging', protected: false, bindings: { db: DB }, ...lists }
  return { ...BEFORE, environments: { ...BEFORE.environments, staging } }
}
function said(before: Configuration, after: Configuration): readonly string[] {
  return changes(before, after, CONTEXT).map(({ effect, message }) => `${effect} ${message}`)
}

const CI: Who = {
  kind: 'oidc',
  issuer: 'https://ci.example',
  audience: null,
  claims: { ref: 'main' },
}

const CI_FOR_US: Who = { ...CI, audience: 'us' }
const CI_ON_DEV: Who = { ...CI, claims: { ref: 'dev' } }

const ROWS: readonly {
  readonly name: string
  readonly after: Configuration
  /** From BEFORE to it. */
  readonly there: readonly string[]
  /** From it to BEFORE. */
  readonly back: readonly string[]
}[] = [
  {
    name: 'further operations',
    after: withRule({ allow: ['read', 'write', 'TRIGGER'] }),
    there: [
      'widens template work: db may now TRIGGER in staging (execute)',
      'widens template work: db may now INSERT, UPDATE in staging (write)',
    ],
    back: [
      'narrows template work: db may no longer TRIGGER in staging (execute)',
      'narrows template work: db may no longer INSERT, UPDATE in staging (write)',
    ],
  },
  {
    name: 'an approval dropped',
    after: withRule({ allow: ['read', 'DELETE'], approve: [] }),
    there: [
      'widens template work: db no longer needs approval for DELETE in staging (destructive)',
    ],
    back: ['narrows template work: db now needs approval for DELETE in staging (destructive)'],
  },
  {
    name: 'a deny dropped',
    after: withRule({ approve: ['destructive'], deny: [] }),
    there: ['widens template work: db may now TRUNCATE with approval in staging (destructive)'],
    back: ['narrows template work: db may no longer TRUNCATE in staging (destructive)'],
  },
  {
    name: 'the same in other words',
    after: withRule({ allow: ['SELECT'] }),
    there: ['neutral template work: db is written differently, and gives the same today'],
    back: ['neutral template work: db is written differently, and gives the same today'],
  },
  {
    name: 'another environment',
    after: withTemplate({ environments: ['staging', 'production'] }),
    there: [
      'widens template work: may now be used in production',
      'widens template work: db may now SELECT in production (read)',
      'widens template work: db may now DELETE with approval in production (destructive)',
    ],
    back: ['narrows template work: no longer in production'],
  },
  {
    name: 'longer leases',
    after: withTemplate({ ttlMs: 3_600_000, maxTtlMs: 28_800_000 }),
    there: [
      'widens template work: leases last 1h unless they ask otherwise, was 30m',
      'widens template work: leases may last 8h, was 4h',
    ],
    back: [
      'narrows template work: leases last 30m unless they ask otherwise, was 1h',
      'narrows template work: leases may last 4h, was 8h',
    ],
  },
  {
    name: 'weaker isolation',
    after: withTemplate({ isolation: 'scrub' }),
    there: ['widens template work: accepts isolation scrub, was mask'],
    back: ['narrows template work: accepts isolation mask, was scrub'],
  },
  {
    name: 'open egress',
    after: withTemplate({ egress: 'open' }),
    there: ['widens template work: egress is now open to every host'],
    back: ['narrows template work: egress is now limited to api.example.com'],
  },
  {
    name: 'another host',
    after: withTemplate({ egress: ['*.example.com'] }),
    there: [
      'widens template work: egress now reaches *.example.com',
      'narrows template work: egress no longer reaches api.example.com',
    ],
    back: [
      'widens template work: egress now reaches api.example.com',
      'narrows template work: egress no longer reaches *.example.com',
    ],
  },
  {
    name: 'others may ask',
    after: withTemplate({ who: [{ kind: 'local' }, CI] }),
    there: [
      'widens template work: may now be asked for by tokens of https://ci.example with {"ref":"main"}',
    ],
    back: [
      'narrows template work: may no longer be asked for by tokens of https://ci.example with {"ref":"main"}',
    ],
  },
  {
    name: 'approval of each lease dropped',
    after: withTemplate({ approval: 'none' }),
    there: ['widens template work: leases no longer need approval'],
    back: ['narrows template work: each lease now needs approval'],
  },
  {
    name: 'approvals only typed',
    after: withTemplate({ confirm: 'typed' }),
    there: ['widens template work: approvals are confirmed by typed, was totp'],
    back: ['narrows template work: approvals are confirmed by totp, was typed'],
  },
  {
    name: 'unconfined',
    after: withTemplate({ unconfined: true }),
    there: [
      'widens template work: approvals are accepted at isolation scrub, where the agent can approve itself',
    ],
    back: ['narrows template work: approvals are no longer accepted at isolation scrub'],
  },
  {
    name: 'more live leases',
    after: withTemplate({ maxLive: null }),
    there: ["widens template work: live leases at once: the broker's own limit, was 5"],
    back: ["neutral template work: live leases at once: 5, was the broker's own limit"],
  },
  {
    name: 'what is only said',
    after: withTemplate({ description: 'x', isDefault: true, approvalWaitMs: 90_000 }),
    there: [
      'neutral template work: description changed',
      'neutral template work: is now chosen when none is named',
      'neutral template work: approvals are waited for 1m30s, was 1m',
    ],
    back: [
      'neutral template work: description changed',
      'neutral template work: is no longer the default',
      'neutral template work: approvals are waited for 1m, was 1m30s',
    ],
  },
  {
    name: 'another target',
    after: withStaging({ bindings: { db: { ...DB, target: { schemas: ['public', 'app'] } } } }),
    there: ['widens environment staging: db: schemas is now ["public","app"], was ["public"]'],
    back: ['widens environment staging: db: schemas is now ["public"], was ["public","app"]'],
  },
  {
    name: 'a provider said openly',
    after: withStaging({ bindings: { db: { ...DB, provider: 'postgres' } } }),
    there: [
      'neutral environment staging: db: provider is now postgres, was left to the connection',
    ],
    back: ['neutral environment staging: db: provider is now left to the connection, was postgres'],
  },
  {
    name: 'a place gone',
    after: withStaging({ bindings: {} }),
    there: [
      'narrows environment staging: db is gone',
      'narrows template work: db may no longer SELECT in staging (read)',
      'narrows template work: db may no longer DELETE in staging (destructive)',
    ],
    back: [
      'widens environment staging: db is new: connection pg-staging {"schemas":["public"]}',
      'widens template work: db may now SELECT in staging (read)',
      'widens template work: db may now DELETE with approval in staging (destructive)',
    ],
  },
  {
    name: 'protection',
    after: {
      ...withRule({ allow: ['read', 'write'] }),
      environments: withStaging({ protected: true }).environments,
    },
    there: [
      'widens template work: db may now INSERT, UPDATE with approval in staging (write)',
      'narrows environment staging: is now protected: everything beyond read needs approval, leases last at most 1h',
    ],
    back: [
      'widens environment staging: is no longer protected: write and beyond need no approval, leases may last 8h',
      'narrows template work: db may no longer INSERT, UPDATE in staging (write)',
    ],
  },
  {
    name: 'no template',
    after: { ...BEFORE, templates: {} },
    there: ['narrows template work: is gone'],
    back: [
      'widens template work: is new: for staging, up to 4h, isolation mask, egress to api.example.com, each lease needs approval',
      'widens template work: db may now SELECT in staging (read)',
      'widens template work: db may now DELETE with approval in staging (destructive)',
    ],
  },
]

describe('changes', () => {
  it.each(ROWS)('says in words what is new, and what is not any more: $name', (row) => {
    expect(said(BEFORE, row.after)).toEqual(row.there)
    expect(said(row.after, BEFORE)).toEqual(row.back)
  })

  it('says that an unprotected environment no longer needs approval for each operation', () => {
    const rule = { environments: ['production'], grants: WORK.grants }
    const before = withTemplate({
      ...rule,
      grants: { db: { allow: ['write'], approve: [], deny: [] } },
    })
    const production = { name: 'production', protected: false, bindings: { db: DB } }
    const after = { ...before, environments: { ...before.environments, production } }
    expect(said(before, after)).toContain(
      'widens template work: db no longer needs approval for INSERT, UPDATE in production (write)',
    )
  })

  it('says nothing where nothing changed', () => {
    expect(said(BEFORE, structuredClone(BEFORE))).toEqual([])
    expect(said(BUILTIN, BUILTIN)).toEqual([])
  })

  it('compares patterns where the provider is not known, and widens in doubt', () => {
    const unknown = { db: { provider: null, connection: 'not-yet', target: {} } }
    const at = (lists: Partial<Template['grants'][string]>): Configuration => ({
      ...withRule(lists),
      environments: withStaging({ bindings: unknown }).environments,
    })
    expect(said(at({}), at({ allow: ['read', 'x*'], deny: [] }))).toEqual([
      'widens template work: db may now x* in staging',
      'widens template work: db is no longer denied TRUNCATE in staging',
    ])
    expect(said(at({}), at({ approve: [] }))).toContain(
      'widens template work: db no longer names DELETE for approval in staging',
    )
  })

  it('spells out every dangerous operation, and shortens only harmless ones', () => {
    const many = (risk: 'read' | 'destructive') =>
      new Map(Array.from({ length: 20 }, (_, index) => [`op${index}`, risk] as const))
    for (const [risk, length] of [
      ['read', 12],
      ['destructive', 20],
    ] as const) {
      const catalogue = { operations: many(risk), open: false }
      const facts = { catalogue, parseTarget: () => ({}), variables: () => [] }
      const context = { ...CONTEXT, providers: new Map([['postgres', facts]]) }
      const found = changes(withRule({ allow: [] }), withRule({ allow: [risk] }), context)
      const message = found[0]?.message ?? ''
      expect(message.match(/op\d+/g)).toHaveLength(length)
      expect(message.includes('and 8 more')).toBe(risk === 'read')
    }
  })
})

const grantNames = fc.constantFrom('db', 'api', 'rail')
const patterns = fc.array(
  fc.constantFrom('read', 'write', 'destructive', 'SELECT', 'DELETE', '*', 'S*', 'orders:x', 'x y'),
  { maxLength: 3 },
)
const bindings: fc.Arbitrary<Binding> = fc.record({
  provider: fc.constantFrom(null, 'jwt', 'postgres'),
  connection: fc.constantFrom(null, 'pg-staging', 'railway-main', 'not-stored'),
  target: fc.constantFrom({}, { schemas: ['public'] }, { schemas: ['app'], tables: [] }),
})
const environmentNames = ['staging', 'production'] as const
const whos: fc.Arbitrary<Who> = fc.constantFrom<Who>({ kind: 'local' }, CI, CI_FOR_US, CI_ON_DEV)

const configurations: fc.Arbitrary<Configuration> = fc
  .record({
    environments: fc.subarray([...environmentNames]),
    places: fc.array(fc.record({ p: fc.boolean(), b: fc.dictionary(grantNames, bindings) }), {
      minLength: 2,
      maxLength: 2,
    }),
    templates: fc.array(
      fc.record({
        description: fc.constantFrom('', 'x'),
        isDefault: fc.boolean(),
        environments: fc.shuffledSubarray([...environmentNames]),
        ttlMs: fc.constantFrom(1000, 60_000),
        maxTtlMs: fc.constantFrom(60_000, 120_000),
        isolation: fc.constantFrom('scrub', 'mask', 'confine'),
        egress: fc.oneof(
          fc.constant('open' as const),
          fc.shuffledSubarray(['a.example', 'b.example']),
        ),
        unconfined: fc.boolean(),
        who: fc.array(whos, { maxLength: 2 }),
        approval: fc.constantFrom('none', 'required'),
        confirm: fc.constantFrom('totp', 'typed'),
        approvalWaitMs: fc.constantFrom(1000, 2000),
        maxLive: fc.constantFrom(null, 1, 2),
        grants: fc.dictionary(
          grantNames,
          fc.record({ allow: patterns, approve: patterns, deny: patterns }),
        ),
      }),
      { maxLength: 2 },
    ),
  })
  .map(({ environments, places, templates }) => ({
    providers: {},
    environments: Object.fromEntries(
      environments.map((name, index) => {
        const place = places[index]
        return [name, { name, protected: place?.p ?? false, bindings: { ...place?.b } }]
      }),
    ),
    templates: Object.fromEntries(
      templates.map((template, index) => {
        const name = index === 0 ? 'one' : 'two'
        return [name, { name, ...template, grants: { ...template.grants } } as Template]
      }),
    ),
  }))

/** A neighbour: the same with one part taken from another, so that small differences are common. */
const pairs = fc
  .tuple(configurations, configurations, fc.nat({ max: 2 }))
  .map(([a, b, kind]): readonly [Configuration, Configuration] => {
    if (kind === 0) return [a, b]
    if (kind === 1) return [a, { ...a, environments: b.environments }]
    const [first] = Object.values(a.templates)
    const [other] = Object.values(b.templates)
    if (!first || !other) return [a, b]
    const fields = Object.keys(first).filter((key) => key !== 'name')
    const field = fields[other.ttlMs % fields.length] as keyof Template
    const mixed = { ...first, [field]: other[field] }
    return [a, { ...a, templates: { ...a.templates, [first.name]: mixed } }]
  })

/** What may be done where, decided one by one: `allow` or `approve` for each known operation. */
function possible(configuration: Configuration, context = CONTEXT): Map<string, string> {
  const found = new Map<string, string>()
  for (const template of Object.values(configuration.templates)) {
    for (const name of template.environments) {
      const environment = configuration.environments[name]
      for (const [grant, rule] of Object.entries(template.grants)) {
        const binding = environment?.bindings[grant]
        const catalogue = binding && factsOf(binding, context)?.catalogue
        if (!environment || !catalogue) continue
        const names = [...catalogue.operations.keys(), ...rule.allow, ...rule.approve]
        for (const operation of names) {
          const decided = decide(rule, catalogue, operation, environment.protected)
          if (decided === 'deny') continue
          found.set([template.name, name, grant, operation].join('|'), decided)
        }
      }
    }
  }
  return found
}

describe('any two configurations', () => {
  it('give at least one change where they differ, and none where they do not', () => {
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const same =
          canonicalJson(before as unknown as Json) === canonicalJson(after as unknown as Json)
        expect(changes(before, after, CONTEXT).length > 0).toBe(!same)
      }),
      { numRuns: 3000 },
    )
  })

  it('give a change that widens, and names it, for whatever is newly possible', () => {
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const had = possible(before)
        const widening = changes(before, after, CONTEXT)
          .filter(({ effect }) => effect === 'widens')
          .map(({ message }) => message)
        for (const [key, decided] of possible(after)) {
          if (had.get(key) === decided || had.get(key) === 'allow') continue
          const [template, environment, grant, operation] = key.split('|')
          const start = `template ${template}: ${grant} `
          const named = widening.filter(
            (message) =>
              message.startsWith(start) &&
              message.includes(` in ${environment} (`) &&
              message.includes(String(operation)),
          )
          expect(named, `${key} in ${JSON.stringify(widening)}`).not.toEqual([])
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('widen where anything is newly possible, also while the connection is not stored yet', () => {
    const later = {
      ...CONTEXT,
      connections: [...CONTEXT.connections, { name: 'not-stored', provider: 'railway' }],
    }
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const had = possible(before, later)
        const news = [...possible(after, later)].filter(
          ([key, decided]) => had.get(key) !== decided && had.get(key) !== 'allow',
        )
        const widening = changes(before, after, CONTEXT).filter(({ effect }) => effect === 'widens')
        if (news.length > 0) expect(widening).not.toEqual([])
      }),
      { numRuns: 3000 },
    )
  })
})
