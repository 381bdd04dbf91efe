import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { verifyAudit } from '../../src/broker/audit.ts'
import type { Caller } from '../../src/broker/context.ts'
import { claim } from '../../src/broker/exchange/claim.ts'
import type { ExchangeAnswer } from '../../src/broker/exchange/exchange.ts'
import { introspect, leaseOfToken } from '../../src/broker/introspect.ts'
import { revoke } from '../../src/broker/revoke.ts'
import { sweep } from '../../src/broker/sweep.ts'
import { TIMING } from '../../src/core/deadlines.ts'
import type { Lease } from '../../src/core/lease.ts'
import { Secret } from '../../src/lib/secret.ts'
import { KEYS, OPERATOR } from '../fixtures/context.ts'
import { Exchange, NOW, refusal } from './exchange-fixture.ts'

let exchange: Exchange
beforeEach(async () => {
  exchange = await Exchange.open()
  const all = { allow: ['read', 'write'], approve: [], deny: [] }
  exchange.apply({
    deploy: { grants: { db: all, api: { allow: ['read'], approve: [], deny: [] } } },
  })
})
afterEach(async () => {
  expect(exchange.context.errors).toEqual([])
  expect(await verifyAudit(exchange.context, KEYS, null)).toMatchObject({ ok: true })
  await exchange.close()
})

const handle = async () => exchange.ask(await exchange.token())
const sealed = ({ lease }: ExchangeAnswer) => exchange.context.store.read.sealed(lease, 'variables')

async function leaseOf({ lease }: Pick<ExchangeAnswer, 'lease'>): Promise<Lease> {
  const found = await exchange.context.store.read.lease(lease)
  if (!found) throw new Error('the lease is gone')
  return found
}

describe('the credentials of a lease', () => {
  it('are refused to another handle, and stay for the right one', async () => {
    const [one, other] = [await handle(), await handle()]
    const wrong = claim(exchange.context, await leaseOf(one), other.token)
    expect(await refusal(wrong)).toEqual({
      code: 'denied',
      message: `this handle does not open lease "${one.lease}"`,
    })
    await claim(exchange.context, await leaseOf(one), one.token)
  })

  it('are handed out once: a second time is an alarm', async () => {
    const answer = await handle()
    expect(answer).toMatchObject({ kind: 'lease', expiresAt: NOW + 900_000 })
    expect(answer.token.reveal()).toMatch(/^bkh_[A-Za-z0-9_-]{43}$/)
    const { lease, variables } = await claim(exchange.context, await leaseOf(answer), answer.token)
    expect(variables.reveal()).toEqual({
      LEDGER_KEY: expect.stringContaining(`key-of-broker_test0000_${lease.id}`),
      BROKER_ACCESS_TOKEN: expect.stringMatching(/^ey/),
      BROKER_LEASE: lease.id,
      BROKER_ENV: 'ci',
      BROKER_EXPIRES_AT: new Date(NOW + 900_000).toISOString(),
      BROKER_HANDLE: answer.token.reveal(),
    })
    expect(await sealed(answer)).toBeUndefined()
    expect(await refusal(claim(exchange.context, lease, answer.token))).toEqual({
      code: 'already_claimed',
      message: `the credentials of lease "${lease.id}" were handed out already`,
    })
    expect(await exchange.entries('lease.claim_refused')).toEqual([
      { type: 'lease.claim_refused', lease: lease.id, data: { reason: 'already_claimed' } },
    ])
    expect(await exchange.entries('lease.claimed')).toHaveLength(1)
  })

  it('are handed out once of many at once', async () => {
    const answer = await handle()
    const lease = await leaseOf(answer)
    const racing = Array.from({ length: 20 }, () => claim(exchange.context, lease, answer.token))
    const results = await Promise.allSettled(racing)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (let n = 0; n < 200; n++) {
      await claim(exchange.context, lease, answer.token).catch(() => {})
    }
    expect((await exchange.entries('lease.claim_refused')).length).toBeLessThanOrEqual(30)
  })

  it('cannot be acknowledged before they were claimed, and can after', async () => {
    const answer = await handle()
    const early = acknowledge(exchange.context, answer.lease, { session: false })
    expect(await refusal(early)).toEqual({
      code: 'conflict',
      message: `the credentials of lease "${answer.lease}" were not claimed yet`,
    })
    await claim(exchange.context, await leaseOf(answer), answer.token)
    const lease = await acknowledge(exchange.context, answer.lease, { session: false })
    expect(lease.deliveredAt).toBe(NOW)
  })

  it.each([
    {
      name: 'when nobody acknowledged them in time',
      end: async () => {
        exchange.pass(TIMING.ackMs)
        await sweep(exchange.context)
        await Promise.all(exchange.context.revoking.values())
      },
    },
    {
      name: 'with the lease',
      end: ({ lease }: ExchangeAnswer) => revoke(exchange.context, lease, 'revoked_by_operator'),
    },
  ])('are gone $name', async ({ end }) => {
    const answer = await handle()
    expect(await sealed(answer)).toBeDefined()
    await end(answer)
    expect(await sealed(answer)).toBeUndefined()
    expect(exchange.ledger.alive.size).toBe(0)
    const late = claim(exchange.context, await leaseOf(answer), answer.token)
    expect((await refusal(late)).code).toBe('lease_ended')
  })

  it('are gone also while their provider does not answer', async () => {
    const answer = await handle()
    exchange.ledger.down = 'unavailable'
    const lease = await revoke(exchange.context, answer.lease, 'revoked_by_operator')
    expect(lease.state).toBe('revoking')
    expect(await sealed(answer)).toBeUndefined()
  })
})

describe('a lease’s handle', () => {
  const nobody = async () => null
  const asked = (token: Secret, asker: Caller) =>
    introspect(exchange.context, nobody, token.reveal(), asker)

  it('is described to the operator and to itself, and inactive to others and when it has ended', async () => {
    const [one, other] = [await handle(), await handle()]
    const itself: Caller = { kind: 'lease', lease: await leaseOf(one) }
    const stranger: Caller = { kind: 'lease', lease: await leaseOf(other) }
    expect(await asked(one.token, stranger)).toEqual({ active: false })
    for (const asker of [OPERATOR, itself]) {
      expect(await asked(one.token, asker)).toMatchObject({
        active: true,
        token_type: 'N_A',
        scope: 'template:deploy',
        lease: one.lease,
        exp: (NOW + 900_000) / 1000,
      })
    }
    await revoke(exchange.context, one.lease, 'task_ended')
    expect(await asked(one.token, OPERATOR)).toEqual({ active: false })
    expect(await asked(new Secret('bkh_unknown'), OPERATOR)).toEqual({ active: false })
  })

  it('names its lease for revocation, and nothing else does', async () => {
    const { lease, token } = await handle()
    const named = async (text: string) =>
      (await leaseOfToken(exchange.context, nobody, text))?.id ?? null
    expect(await named('bkh_unknown')).toBeNull()
    expect(await named('')).toBeNull()
    expect(await named(token.reveal())).toBe(lease)
  })
})
