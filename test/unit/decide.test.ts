import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide, narrowTtl, resolveOperations } from '../../src/core/decide.ts'
import { matchesGlob, nearest } from '../../src/core/names.ts'
import { type Catalogue, NEVER_BY_GLOB, RISKS } from '../../src/core/risk.ts'
import type { GrantRule } from '../../src/core/template.ts'
import { RAILWAY, SCOPES, SQL } from './templates-fixture.ts'

const HOUR = 3_600_000

function rule(lists: Partial<GrantRule>): GrantRule {
  return { allow: [], approve: [], deny: [], ...lists }
}

describe('decide', () => {
  it('denies what no rule names', () => {
    expect(decide(rule({}), SQL, 'SELECT')).toBe('deny')
    expect(decide(rule({ allow: ['write'] }), SQL, 'SELECT')).toBe('deny')
  })

  it('denies an operation that the catalogue does not know, whatever the rule says', () => {
    const all = rule({ allow: ['*', 'DROP', ...RISKS] })
    expect(decide(all, SQL, 'DROP')).toBe('deny')
    expect(decide(all, SQL, 'select')).toBe('deny')
    expect(decide(all, SQL, '__proto__')).toBe('deny')
    expect(decide(all, SQL, '')).toBe('deny')
  })

  it('denies what a deny rule names, by name, class or glob, although allow names it exactly', () => {
    for (const deny of ['serviceDelete', 'destructive', 'service*', '*']) {
      const both = rule({ allow: ['serviceDelete'], approve: ['serviceDelete'], deny: [deny] })
      expect(decide(both, RAILWAY, 'serviceDelete')).toBe('deny')
    }
  })

  it('asks for approval where both approve and allow name it', () => {
    const both = rule({ allow: ['write'], approve: ['variableUpsert'] })
    expect(decide(both, RAILWAY, 'variableUpsert')).toBe('approve')
    expect(decide(both, RAILWAY, 'deploymentCancel')).toBe('allow')
  })

  it('never lets a glob reach secret, execute, destructive or admin operations', () => {
    const { allowed, approve } = resolveOperations(rule({ allow: ['*'], approve: ['*'] }), RAILWAY)
    expect(allowed).toEqual([])
    expect(approve).toEqual([
      'deploymentCancel',
      'deploymentLogs',
      'deployments',
      'project',
      'variableUpsert',
    ])
    expect(decide(rule({ allow: ['deployment*'] }), RAILWAY, 'deploymentRedeploy')).toBe('deny')
  })

  it('reaches dangerous operations by exact name and by class', () => {
    const named = rule({ allow: ['deploymentRedeploy'], approve: ['destructive'] })
    expect(resolveOperations(named, RAILWAY)).toEqual({
      allowed: ['deploymentRedeploy'],
      approve: ['deploymentRemove', 'serviceDelete', 'volumeDelete'],
      unknown: [],
    })
  })

  it('raises everything beyond read to approve in a protected environment', () => {
    const wide = rule({ allow: ['read', 'write'], deny: ['UPDATE'] })
    expect(decide(wide, SQL, 'SELECT', true)).toBe('allow')
    expect(decide(wide, SQL, 'INSERT', true)).toBe('approve')
    expect(decide(wide, SQL, 'UPDATE', true)).toBe('deny')
    expect(decide(rule({ allow: ['orders:read'] }), SCOPES, 'orders:read', true)).toBe('approve')
  })
})

describe('resolveOperations', () => {
  it('reports a name that reaches nothing, with the nearest operation', () => {
    const { allowed, unknown } = resolveOperations(rule({ allow: ['SELEKT', 'reed'] }), SQL)
    expect(allowed).toEqual([])
    expect(unknown).toEqual([
      { pattern: 'SELEKT', reason: 'absent', suggestion: 'SELECT' },
      { pattern: 'reed', reason: 'absent', suggestion: 'read' },
    ])
  })

  it('reports globs that match nothing, or only what a glob never reaches', () => {
    const { unknown } = resolveOperations(
      rule({ allow: ['volumeD*'], approve: ['nothing*'], deny: ['volumeD*', 'else*'] }),
      RAILWAY,
    )
    expect(unknown).toEqual([
      { pattern: 'volumeD*', reason: 'by-name', suggestion: 'volumeDelete' },
      { pattern: 'nothing*', reason: 'absent', suggestion: null },
      { pattern: 'else*', reason: 'absent', suggestion: null },
    ])
  })

  it('takes no regular expression for one', () => {
    const { allowed, unknown } = resolveOperations(rule({ allow: ['SEL.CT', '[A-Z]*', '.*'] }), SQL)
    expect(allowed).toEqual([])
    expect(unknown.map(({ pattern }) => pattern)).toEqual(['SEL.CT', '[A-Z]*', '.*'])
  })

  it('means both where a word is a class and an operation', () => {
    const both: Catalogue = {
      open: false,
      operations: new Map([
        ['read', 'write'],
        ['look', 'read'],
      ]),
    }
    expect(resolveOperations(rule({ allow: ['read'] }), both).allowed).toEqual(['look', 'read'])
    expect(resolveOperations(rule({ allow: ['read'] }), SCOPES).allowed).toEqual(['read'])
  })

  it('accepts exact names of one’s own in an open catalogue, never a glob over them', () => {
    const own = rule({ allow: ['orders:read', 'orders:write'], deny: ['orders:w*'] })
    expect(resolveOperations(own, SCOPES)).toEqual({
      allowed: ['orders:read'],
      approve: [],
      unknown: [],
    })
    expect(resolveOperations(rule({ allow: ['orders:*'] }), SCOPES)).toEqual({
      allowed: [],
      approve: [],
      unknown: [{ pattern: 'orders:*', reason: 'absent', suggestion: null }],
    })
    expect(decide(rule({ allow: ['write'] }), SCOPES, 'orders:write')).toBe('deny')
  })

  it('lets a deny rule name a scope that no other rule names', () => {
    const own = rule({ allow: ['orders:read'], deny: ['orders:delete'] })
    expect(resolveOperations(own, SCOPES).unknown).toEqual([])
    expect(decide(own, SCOPES, 'orders:delete')).toBe('deny')
  })

  it('refuses names of one’s own that no scope may have', () => {
    for (const bad of ['a b', 'a"b', 'a\\b', 'a\nb', 'ä', '']) {
      const { allowed, unknown } = resolveOperations(rule({ allow: [bad] }), SCOPES)
      expect(allowed).toEqual([])
      expect(unknown.map(({ pattern }) => pattern)).toEqual([bad])
    }
  })
})

const pattern = fc.oneof(
  fc.constantFrom(...RISKS, ...RAILWAY.operations.keys(), ...SQL.operations.keys()),
  fc.constantFrom('*', 'deployment*', '*Delete', 'v*e*', 'S*', 'orders:read', 'x y', 'constructor'),
)
const rules = fc.record({
  allow: fc.array(pattern, { maxLength: 5 }),
  approve: fc.array(pattern, { maxLength: 3 }),
  deny: fc.array(pattern, { maxLength: 3 }),
})
const catalogues = fc.constantFrom(SQL, RAILWAY, SCOPES)

describe('any rule', () => {
  it('decides one operation as it resolves all of them', () => {
    fc.assert(
      fc.property(rules, catalogues, fc.boolean(), (any, known, guarded) => {
        const { allowed, approve } = resolveOperations(any, known, guarded)
        const names = new Set([...known.operations.keys(), ...any.allow, ...any.approve])
        for (const name of names) {
          const decided = decide(any, known, name, guarded)
          expect(allowed.includes(name)).toBe(decided === 'allow')
          expect(approve.includes(name)).toBe(decided === 'approve')
        }
        expect([...allowed]).toEqual([...new Set(allowed)].sort())
      }),
    )
  })

  it('lets deny win, however it is written', () => {
    fc.assert(
      fc.property(rules, catalogues, (any, known) => {
        for (const [name, risk] of known.operations) {
          const denied =
            any.deny.includes(name) ||
            any.deny.includes(risk) ||
            any.deny.some((one) => one.includes('*') && matchesGlob(one, name))
          if (denied) expect(decide(any, known, name)).toBe('deny')
        }
      }),
    )
  })

  it('gives nothing more when a deny is added, and nothing allowed more when an approve is', () => {
    fc.assert(
      fc.property(rules, pattern, catalogues, (any, more, known) => {
        const before = resolveOperations(any, known)
        const denied = resolveOperations({ ...any, deny: [...any.deny, more] }, known)
        expect(before.allowed).toEqual(expect.arrayContaining([...denied.allowed]))
        const either = [...before.allowed, ...before.approve]
        expect(either).toEqual(expect.arrayContaining([...denied.allowed, ...denied.approve]))
        const asked = resolveOperations({ ...any, approve: [...any.approve, more] }, known)
        expect(before.allowed).toEqual(expect.arrayContaining([...asked.allowed]))
      }),
    )
  })

  it('gives something dangerous only where it is named or its class is', () => {
    fc.assert(
      fc.property(rules, catalogues, (any, known) => {
        const { allowed, approve } = resolveOperations(any, known)
        for (const name of [...allowed, ...approve]) {
          const risk = known.operations.get(name) ?? 'write'
          if (!NEVER_BY_GLOB.has(risk)) continue
          const given = [...any.allow, ...any.approve]
          expect(given.includes(name) || given.includes(risk)).toBe(true)
        }
      }),
    )
  })

  it('means the same in any order', () => {
    fc.assert(
      fc.property(rules, catalogues, (any, known) => {
        const turned = {
          allow: [...any.allow].reverse(),
          approve: [...any.approve].reverse(),
          deny: [...any.deny].reverse(),
        }
        const { allowed, approve } = resolveOperations(any, known)
        expect(resolveOperations(turned, known)).toMatchObject({ allowed, approve })
      }),
    )
  })

  it('reports every pattern that reaches nothing and is no class', () => {
    fc.assert(
      fc.property(rules, fc.constantFrom(SQL, RAILWAY), (any, known) => {
        const { unknown } = resolveOperations(any, known)
        const reported = new Set(unknown.map((one) => one.pattern))
        for (const one of any.allow) {
          if (RISKS.some((risk) => risk === one) || reported.has(one)) continue
          const alone = resolveOperations(rule({ allow: [one] }), known)
          expect(alone.allowed.length).toBeGreaterThan(0)
        }
      }),
    )
  })
})

describe('matchesGlob', () => {
  it('agrees with an anchored regular expression', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 })
    const globs = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 6 })
    fc.assert(
      fc.property(globs, letters, (glob, text) => {
        expect(matchesGlob(glob, text)).toBe(
          new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(text),
        )
      }),
      { numRuns: 2000 },
    )
  })

  it('is quick where backtracking would not end', () => {
    expect(matchesGlob(`${'*a'.repeat(100)}b`, 'a'.repeat(20_000))).toBe(false)
  })
})

describe('narrowTtl', () => {
  const template = { name: 'day', ttlMs: HOUR / 2, maxTtlMs: 4 * HOUR }

  it('refuses more than the template allows, and says how much that is', () => {
    expect(() => narrowTtl(5 * HOUR, template, false)).toThrow(
      expect.objectContaining({
        code: 'denied',
        message: 'template "day" allows at most 4h, asked for 5h',
        hint: 'ask for --ttl 4h or less',
        details: { maxTtlMs: 4 * HOUR },
      }),
    )
  })

  it('refuses more than an hour in a protected environment', () => {
    expect(() => narrowTtl(2 * HOUR, template, true)).toThrow(
      expect.objectContaining({
        code: 'denied',
        message: 'template "day" allows at most 1h in a protected environment, asked for 2h',
      }),
    )
  })

  it('refuses more than eight hours, even if a stored template says so', () => {
    const loose = { name: 'loose', ttlMs: 20 * HOUR, maxTtlMs: 20 * HOUR }
    expect(() => narrowTtl(9 * HOUR, loose, false)).toThrow(
      expect.objectContaining({ code: 'denied' }),
    )
    expect(narrowTtl(undefined, loose, false)).toBe(8 * HOUR)
    expect(narrowTtl(undefined, loose, true)).toBe(HOUR)
  })

  it('refuses what is no time', () => {
    for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => narrowTtl(bad, template, false)).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      )
    }
  })

  it('gives what was asked for, else what the template says', () => {
    expect(narrowTtl(4 * HOUR, template, false)).toBe(4 * HOUR)
    expect(narrowTtl(1000, template, true)).toBe(1000)
    expect(narrowTtl(undefined, template, false)).toBe(HOUR / 2)
  })
})

describe('nearest', () => {
  it('suggests nothing where nothing is near', () => {
    expect(nearest('qqqqqq', ['staging', 'production'])).toBeNull()
    expect(nearest('ab', ['xy'])).toBeNull()
    expect(nearest('x'.repeat(100_000), ['x'.repeat(100_000)])).toBeNull()
  })

  it('finds the name with a slip, and takes upper and lower case alike', () => {
    expect(nearest('stagng', ['production', 'staging'])).toBe('staging')
    expect(nearest('select', ['SELECT'])).toBe('SELECT')
  })
})
