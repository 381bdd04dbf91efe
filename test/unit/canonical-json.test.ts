import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type Json } from '../../src/lib/json.ts'

const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }) as fc.Arbitrary<Json>

/** As RFC 8785 has it, member by member. */
function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return `{${members.map(([key, of]) => `${JSON.stringify(key)}:${written(of)}`).join(',')}}`
}

function withKeys(value: unknown, order: (keys: string[]) => string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => withKeys(item, order))
  if (typeof value !== 'object' || value === null) return value
  const of = value as Record<string, unknown>
  const entries = order(Object.keys(of)).map((key) => [key, withKeys(of[key], order)])
  return Object.fromEntries(entries)
}

describe('canonical JSON', () => {
  it('refuses what JSON cannot hold, wherever it stands, in order or not', () => {
    const date = new Date(0)
    const own = { toJSON: () => 'something else' }
    for (const bad of [undefined, Number.NaN, Infinity, '\ud800', () => 1, Symbol('a'), 1n, own]) {
      for (const around of [bad, [bad], { a: bad }, { b: 1, a: bad }, { a: 1, b: [{ c: bad }] }]) {
        expect(() => canonicalJson(around as Json)).toThrow(TypeError)
      }
    }
    for (const key of ['\ud800', 'a\udc00']) {
      expect(() => canonicalJson({ [key]: 1 })).toThrow(TypeError)
      expect(() => canonicalJson({ b: 1, [key]: 1, a: 1 })).toThrow(TypeError)
    }
    expect(() => canonicalJson(new Array(2) as Json)).toThrow(TypeError)
    expect(() => canonicalJson({ b: new Array(1), a: 1 } as Json)).toThrow(TypeError)
    // What has a form of its own is never asked for it.
    expect(canonicalJson(date as unknown as Json)).toBe('{}')
  })

  it('says the same of equal values, however their keys stand', () => {
    fc.assert(
      fc.property(json, (value) => {
        fc.pre(isWellFormed(value))
        const expected = written(value)
        expect(canonicalJson(value)).toBe(expected)
        expect(canonicalJson(withKeys(value, (keys) => keys.toSorted()) as Json)).toBe(expected)
        expect(canonicalJson(withKeys(value, (keys) => keys.toReversed()) as Json)).toBe(expected)
      }),
      { numRuns: 2000 },
    )
  })

  it('sorts what looks like a number as text, and `__proto__` as any other name', () => {
    expect(canonicalJson({ 10: 1, 9: 2 })).toBe('{"10":1,"9":2}')
    expect(canonicalJson(JSON.parse('{"__proto__":{"b":1,"a":2}}'))).toBe(
      '{"__proto__":{"a":2,"b":1}}',
    )
  })
})

function isWellFormed(value: unknown): boolean {
  return JSON.stringify(value).includes('\\ud') === false
}
