import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type SealTerms, seal, unseal } from '../../src/broker/exchange/seal.ts'
import { Secret } from '../../src/lib/secret.ts'
import { leaseId } from '../fixtures/approvals.ts'

const KEY = new Secret('bkh_0123456789abcdef0123456789abcdef')
const TERMS: SealTerms = { lease: leaseId(1), purpose: 'answer', key: KEY }
const sealed = seal(TERMS, new Secret('the answer'), randomBytes)

describe('what was sealed', () => {
  it.each([
    { name: 'another key', terms: { ...TERMS, key: new Secret(`${KEY.reveal()}x`) } },
    { name: 'no key', terms: { ...TERMS, key: new Secret('') } },
    { name: 'another lease', terms: { ...TERMS, lease: leaseId(2) } },
    { name: 'another purpose', terms: { ...TERMS, purpose: 'variables' as const } },
  ])('does not open with $name', ({ terms }) => {
    expect(unseal(terms, sealed)).toBeNull()
  })

  it('does not open when a bit of it was changed, or a part is missing', () => {
    const bytes = Buffer.from(sealed, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      expect(unseal(TERMS, changed.toString('base64url'))).toBeNull()
      expect(unseal(TERMS, bytes.subarray(0, at).toString('base64url'))).toBeNull()
    }
  })

  it('opens with what it was sealed for, and is never the same twice', () => {
    expect(unseal(TERMS, sealed)?.reveal()).toBe('the answer')
    expect(sealed).not.toContain(Buffer.from('the answer').toString('base64url').slice(0, 8))
    expect(seal(TERMS, new Secret('the answer'), randomBytes)).not.toBe(sealed)
  })
})
