import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { STARTER } from '../../src/api/starter.ts'
import { compile } from '../../src/templates/compile.ts'
import { readDocument } from '../../src/templates/read.ts'
import { CONTEXT } from './templates-fixture.ts'

const LAUGHS = ['a: &a [x, x, x, x, x, x, x, x, x]']
for (const [index, letter] of [...'bcdefghij'].entries()) {
  const former = `*${'abcdefghij'[index]}`
  LAUGHS.push(`${letter}: &${letter} [${Array(9).fill(former).join(', ')}]`)
}

const GARBAGE: readonly { readonly name: string; readonly text: string }[] = [
  { name: 'a billion laughs', text: LAUGHS.join('\n') },
  { name: 'an alias to itself', text: 'a: &a [*a]\n' },
  { name: 'a hundred thousand brackets', text: '['.repeat(100_000) },
  { name: 'a hundred thousand nested lists', text: '- '.repeat(100_000) },
  { name: 'a hundred thousand nested keys', text: '? '.repeat(100_000) },
  { name: 'nesting by indentation', text: indented(1200) },
  { name: 'nesting that the parser still takes', text: `version: 1\nx: ${nested(200)}\n` },
  {
    name: 'nesting in a target, where any shape is accepted',
    text: STARTER.replace('provider: jwt,', `provider: jwt, deep: ${nested(30)},`),
  },
  { name: 'fifty thousand unknown keys', text: keys(50_000) },
  { name: 'fifty thousand equal keys', text: 'a: 1\n'.repeat(50_000) },
  { name: 'a hundred thousand documents', text: '---\n'.repeat(100_000) },
  { name: 'a key of a megabyte', text: `${'k'.repeat(1_000_000)}: 1\n` },
  { name: 'a lone carriage return', text: 'a: 1\rb: 2\r' },
  { name: 'an emoji cut in half', text: `version: 1\nx: "${'😀'.slice(0, 1)}"\n` },
]

function indented(depth: number): string {
  return Array.from({ length: depth }, (_, level) => `${' '.repeat(level)}k:`).join('\n')
}
function nested(depth: number): string {
  return `${'{ k: '.repeat(depth)}1${' }'.repeat(depth)}`
}
function keys(count: number): string {
  return Array.from({ length: count }, (_, index) => `versio${index}: 1`).join('\n')
}

describe('garbage', () => {
  it.each(GARBAGE)('is refused with positions, in time, and briefly: $name', ({ text }) => {
    const { document, issues } = readDocument(text)
    expect(document).toBeUndefined()
    expect(issues.length).toBeGreaterThan(0)
    expect(issues.length).toBeLessThanOrEqual(101)
    for (const issue of issues) {
      expect(issue.line).toBeGreaterThanOrEqual(1)
      expect(issue.column).toBeGreaterThanOrEqual(1)
      expect(issue.message.length).toBeLessThan(300)
      expect(issue.message).not.toMatch(/\n/)
    }
    expect(issues.some(({ severity }) => severity === 'error')).toBe(true)
  })

  it('never throws, and never reads as a document what it also complains about', () => {
    const yamlish = fc.string({
      unit: fc.constantFrom(
        ...[...'ab:-?[]{}&*!|>\'"%@`#,\n\t .~0'],
        '\n  ',
        'version: 1\n',
        'environments:\n',
        'templates:\n',
        '  s: { db: { connection: x } }\n',
        '<<',
        '__proto__: ',
      ),
      maxLength: 60,
    })
    fc.assert(
      fc.property(fc.oneof(yamlish, fc.string({ unit: 'binary' })), (text) => {
        const { document, issues } = readDocument(text)
        expect(document === undefined).toBe(issues.some(({ severity }) => severity === 'error'))
        if (document) compile(document, CONTEXT)
      }),
      { numRuns: 3000 },
    )
  })

  it('cannot reach the prototype of anything', () => {
    const text =
      'version: 1\nenvironments:\n  s:\n    db: { connection: x, "__proto__": { y: 1 } }\n'
    expect(readDocument(text).document).toBeUndefined()
    expect(({} as Record<string, unknown>)['y']).toBeUndefined()
  })
})
