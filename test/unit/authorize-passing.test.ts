import { afterEach, describe, expect, it } from 'vitest'
import { advised, passingOf } from '../../src/broker/authorize/passing.ts'
import type { Catalogue } from '../../src/core/risk.ts'
import type { GrantRule } from '../../src/core/template.ts'
import { NEVER, openYard, request, type Yard } from './authorize-fixture.ts'

const CATALOGUE: Catalogue = {
  operations: new Map([
    ['thingLogs', 'read'],
    ['thingList', 'read'],
    ['thingPut', 'write'],
    ['thingBurn', 'destructive'],
  ]),
  open: false,
}
const of = (rule: Partial<GrantRule>, isProtected = false) =>
  passingOf({ allow: [], approve: [], deny: [], ...rule }, CATALOGUE, isProtected)

describe('what passes without a person', () => {
  it('is only what is read in a protected environment', () => {
    const rule = { allow: ['read', 'write', 'thingBurn'] }
    expect(of(rule, true)).toEqual({ free: ['read'], held: ['write', 'thingBurn'] })
    expect(of(rule)).toEqual({ free: ['read', 'write', 'thingBurn'], held: [] })
  })

  it('is by its names what a pattern reaches beside others that are held', () => {
    expect(of({ allow: ['thing*'] }, true)).toEqual({
      free: ['thingLogs', 'thingList'].sort(),
      held: ['thing*'],
    })
  })

  it('is nothing of what a rule has approved or denies', () => {
    const rule = {
      allow: ['read', 'thingBurn', 'write'],
      approve: ['thingBurn'],
      deny: ['thingPut'],
    }
    expect(of(rule)).toEqual({ free: ['read'], held: ['thingBurn'] })
  })

  it('does not promise a person for what the template denies anyway', () => {
    expect(of({ approve: ['thingBurn'], deny: ['destructive'] })).toEqual({ free: [], held: [] })
  })
})

describe('the advice', () => {
  const refused = { code: 'operation_denied', detail: 'no', next: 'do something else' } as const

  it('names what a person may approve, where an operation was refused', () => {
    const passing = { free: ['read'], held: ['write', 'thingBurn'] }
    expect(advised(refused, passing).next).toBe(
      'do something else; held until a person approves: write, thingBurn',
    )
    expect(advised({ ...refused, code: 'credential_missing' }, passing).next).toBe(refused.next)
    expect(advised(refused, { free: ['read'], held: [] })).toEqual(refused)
  })
})

describe('a refusal at the gate', () => {
  let yard: Yard
  afterEach(() => yard.context.dispose())
  const refusal = async (path: string) => {
    const verdict = await yard.gate.judge(request(path, { body: Buffer.alloc(0) }), NEVER)
    if (verdict.kind !== 'refuse') throw new Error(`it was not refused: ${verdict.kind}`)
    return JSON.parse(verdict.refusal.body)
  }

  it('offers in a protected environment nothing that waits for a person', async () => {
    const rule = { allow: ['look', 'put'], approve: [], deny: [] }
    yard = await openYard(undefined, { isProtected: true, grant: { rule } })
    expect(await refusal('/burn/t1')).toMatchObject({
      ...{ code: 'operation_denied', allowed: ['look'] },
      next: expect.stringMatching(/; held until a person approves: put$/),
    })
  })

  it('says what it is about also where three wait already', async () => {
    const rule = { allow: [], approve: ['burn'], deny: [] }
    yard = await openYard(undefined, { grant: { rule } })
    for (const path of ['/burn/t1', '/burn/t2', '/burn/t3']) await refusal(path)
    expect(await refusal('/burn/t4')).toMatchObject({
      ...{ code: 'approval_required', operation: 'burn', risk: 'destructive' },
      ...{ rule: 'approve: burn', detail: expect.stringContaining('already has 3 requests') },
    })
  })
})
