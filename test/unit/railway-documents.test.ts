import { Kind, parse, print, visit } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DANGEROUS } from '../fixtures/railway/dangerous.ts'
import { LEGITIMATE } from '../fixtures/railway/legitimate.ts'
import { REFUSED } from '../fixtures/railway/refused.ts'
import { allowed, forwarded, refused, send, summary } from '../fixtures/railway/request.ts'

describe('documents that no rule lets through', () => {
  it.each(REFUSED)('refuses $name', (row) => {
    const refusal = refused(send(row))
    expect(refusal.message).toMatch(row.message)
    expect(refusal.code).toBe(row.code)
    expect(refusal.risk).toBe(row.message.toString().includes('not known') ? 'admin' : refusal.risk)
  })
})

describe('documents that are more than they are called', () => {
  it.each(DANGEROUS)('sees that $name', ({ operations, ...sent }) => {
    expect(summary(allowed(send(sent)))).toEqual(operations)
  })
})

describe('documents of everyday work', () => {
  it.each(LEGITIMATE)('classifies $name', ({ operations, ...sent }) => {
    expect(summary(allowed(send(sent)))).toEqual(operations)
  })
})

describe('what is forwarded', () => {
  it.each([...DANGEROUS, ...LEGITIMATE])('is the same document: $name', (row) => {
    // Our own spelling against the reference printer's: both trees have to be equal.
    const text = forwarded(allowed(send(row))).query
    expect(print(parse(text))).toBe(reference(row.query))
  })
})

/** The reference printer's spelling, with block strings as plain ones. */
function reference(query: string): string {
  return print(visit(parse(query), { [Kind.STRING]: (node) => ({ ...node, block: false }) }))
}

it('holds at least 120 documents', () => {
  expect(REFUSED.length + DANGEROUS.length + LEGITIMATE.length).toBeGreaterThanOrEqual(120)
})
