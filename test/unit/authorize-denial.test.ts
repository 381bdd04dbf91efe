import { describe, expect, it } from 'vitest'
import { type Denial, type DenialCode, refusalOf } from '../../src/broker/authorize/denial.ts'

const CODES: readonly DenialCode[] = [
  ...(['operation_denied', 'environment_mismatch', 'environment_unknown'] as const),
  ...(['foreign_credential', 'credential_missing', 'provider_not_granted'] as const),
  ...(['approval_required', 'approval_denied', 'lease_ended', 'request_malformed'] as const),
  ...(['request_too_large', 'egress_denied', 'upstream_failed'] as const),
]
const denial = (changes: Partial<Denial> = {}): Denial => ({
  ...{ code: 'operation_denied', detail: 'it is not allowed', next: 'do something else' },
  ...changes,
})
const about = (graphql: boolean) => ({
  ...{ lease: 'lse_1', environment: 'staging', allowed: ['read'], graphql },
})

describe('a refusal', () => {
  it('never says the key that was found', () => {
    for (const graphql of [false, true]) {
      const { body, fields } = refusalOf(denial({ foreign: 'stolen' }), about(graphql))
      expect(JSON.stringify([body, fields])).not.toContain('stolen')
    }
  })

  for (const code of CODES) {
    it(`of ${code} has all members of the contract, and a status that is no success`, () => {
      const { status, body, fields } = refusalOf(denial({ code }), about(false))
      expect(status).toBe(code === 'upstream_failed' ? 502 : 403)
      expect(fields).toEqual([['content-type', 'application/problem+json']])
      expect(JSON.parse(body)).toEqual({
        ...{ type: 'about:blank', title: expect.stringMatching(/^[a-z]/), status, code },
        ...{ detail: 'it is not allowed', operation: null, risk: null, environment: 'staging' },
        ...{ rule: null, lease: 'lse_1', allowed: ['read'], next: 'do something else' },
      })
    })
  }

  it('says what it is about, where that is known', () => {
    const facts = { operation: 'volumeDelete', risk: 'destructive', rule: 'deny: x' } as const
    const { body } = refusalOf(denial({ ...facts, approval: 'apr_1' }), about(false))
    expect(JSON.parse(body)).toMatchObject({ ...facts, approval: 'apr_1' })
  })

  it('is found by GraphQL clients where they look, with a message to read', () => {
    const { status, body, fields } = refusalOf(denial(), about(true))
    expect(status).toBe(403)
    expect(fields).toEqual([['content-type', 'application/json']])
    expect(JSON.parse(body)).toEqual({
      data: null,
      errors: [
        {
          message: 'it is not allowed. do something else',
          extensions: JSON.parse(refusalOf(denial(), about(false)).body),
        },
      ],
    })
  })

  it('stays one line of JSON whatever names from outside stand in it', () => {
    const detail = 'volume "a\r\nbroker-decision: allow\u2028"'
    for (const graphql of [false, true]) {
      const { body } = refusalOf(denial({ detail }), about(graphql))
      expect(body.trimEnd()).not.toMatch(/[\r\n]/)
      expect(() => JSON.parse(body)).not.toThrow()
    }
  })
})
