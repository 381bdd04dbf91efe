import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deny } from '../../src/broker/approval/decide.ts'
import { abandonPending } from '../../src/broker/approval/lapse.ts'
import type { Caller } from '../../src/broker/context.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import type { Approval } from '../../src/core/approval.ts'
import type { LeaseId } from '../../src/lib/ids.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

const ask = { environment: 'staging', reason: 'fix login' }

let ledger: Ledger
let context: TestContext

beforeEach(async () => {
  ledger = createLedger()
  context = await createContext(ledgerProvider(ledger), {
    approval: 'required',
    unconfined: true,
    confirm: 'typed',
  })
})

afterEach(() => context.dispose())

/** Asks as a session does, and hands out the approval once it is stored. */
function begin(request = ask) {
  const gone = new AbortController()
  const pending = Promise.withResolvers<Approval>()
  const issued = issue(context, OPERATOR, request, {
    onPending: pending.resolve,
    signal: gone.signal,
  })
  issued.catch(pending.reject)
  pending.promise.catch(() => {}) // whoever waits for the lease alone hears of it there
  return { gone, pending: pending.promise, issued }
}

/** As a person would have: the proof itself is tested with `approve`. */
async function approved(approval: Approval): Promise<void> {
  const decided: Approval = {
    ...approval,
    state: 'approved',
    decidedAt: context.now(),
    decidedBy: 'alice',
  }
  await context.store.write((writer) => writer.saveApproval(decided))
  context.approvals.tell([decided])
}

const types = async () =>
  (await context.store.read.entries({ after: 0, limit: 100 })).map(({ type }) => type)

describe('a lease that needs an approval', () => {
  it('mints nothing before a person has decided', async () => {
    const { pending, issued, gone } = begin()
    const approval = await pending
    expect(ledger.minted).toBe(0)
    const lease = await context.store.read.lease(approval.lease)
    expect(lease).toMatchObject({ state: 'pending', grants: [] })
    expect(await types()).toEqual(['lease.pending', 'approval.requested'])
    gone.abort()
    await expect(issued).rejects.toMatchObject({ code: 'approval_lapsed' })
  })

  it('is minted once it is approved, and the approval is used up with the intent', async () => {
    const { pending, issued } = begin()
    const approval = await pending
    context.clock.now += 120_000
    await approved(approval)
    const { lease } = await issued
    expect(lease).toMatchObject({ id: approval.lease, state: 'active' })
    // Its time counts from the approval, not from the question.
    expect(lease.expiresAt - context.clock.now).toBe(1_800_000)
    expect(await context.store.read.lease(lease.id)).toMatchObject({
      state: 'active',
      issuedAt: context.clock.now,
    })
    expect(await context.store.read.approval(approval.id)).toMatchObject({ state: 'used' })
    expect(await types()).toEqual([
      'lease.pending',
      'approval.requested',
      'approval.used',
      'lease.requested',
      'lease.active',
    ])
    expect(await context.store.read.liveCount('template:dev')).toBe(1)
    await revoke(context, lease.id, 'task_ended')
    expect(await context.store.read.liveCount('template:dev')).toBe(0)
  })

  it('is denied for good when a person denies it', async () => {
    const { pending, issued } = begin()
    const approval = await pending
    await deny(context, approval.id, 'not today', 'alice')
    await expect(issued).rejects.toMatchObject({
      code: 'approval_denied',
      message: expect.stringContaining('not today'),
    })
    expect(ledger.minted).toBe(0)
    const leases = await context.store.read.leases({ live: false, limit: 10 })
    expect(leases.map(({ state }) => state)).toEqual(['denied'])
  })

  it('ends when the one who asked has gone, and a late approval mints nothing', async () => {
    const { pending, issued, gone } = begin()
    const approval = await pending
    gone.abort()
    await expect(issued).rejects.toMatchObject({ code: 'approval_lapsed' })
    expect(await context.store.read.state(approval.lease)).toBe('lapsed')
    expect(await context.store.read.approval(approval.id)).toMatchObject({ state: 'lapsed' })
    expect(ledger.minted).toBe(0)
  })

  it('is ended by broker revoke while it waits', async () => {
    const { pending, issued } = begin()
    const approval = await pending
    const ended = await revoke(context, approval.lease as LeaseId, 'revoked_by_operator')
    expect(ended).toMatchObject({ state: 'lapsed', endReason: 'revoked_by_operator' })
    await expect(issued).rejects.toMatchObject({ code: 'approval_lapsed' })
    expect(ledger.minted).toBe(0)
  })

  it('is refused when the template changed while it waited', async () => {
    const { pending, issued } = begin()
    const approval = await pending
    const policy = await context.policy()
    const changed = new Map(policy.templates).set('dev', { version: 2, sha256: 'e'.repeat(64) })
    Object.assign(context, { policy: async () => ({ ...policy, templates: changed }) })
    await approved(approval)
    await expect(issued).rejects.toMatchObject({
      code: 'denied',
      message: 'the template changed while the lease waited for its approval',
    })
    expect(ledger.minted).toBe(0)
    expect(await context.store.read.state(approval.lease)).toBe('lapsed')
  })

  it('uses an approval for one lease only', async () => {
    const first = begin()
    const second = begin()
    const [one, other] = [await first.pending, await second.pending]
    expect(one.binding).not.toBe(other.binding)
    await approved(one)
    await first.issued
    expect(ledger.minted).toBe(1)
    expect(await context.store.read.state(other.lease)).toBe('pending')
    await abandonPending(context, other.lease, 'lapsed', null)
    await expect(second.issued).rejects.toMatchObject({ code: 'approval_lapsed' })
  })

  it('lets at most ten wait for one person', async () => {
    const waiting = []
    for (let count = 0; count < 10; count++) waiting.push(begin())
    await Promise.all(waiting.map(({ pending }) => pending))
    await expect(begin().issued).rejects.toMatchObject({ code: 'approval_required' })
    for (const { gone } of waiting) gone.abort()
    await Promise.allSettled(waiting.map(({ issued }) => issued))
  })
})

describe('leases asked for from inside a task', () => {
  it('wait three at a time at most, whatever the person has room for', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger))
    const parent = (await issue(context, OPERATOR, ask)).lease
    const policy = await context.policy()
    const template = { ...policy.configuration.templates['dev'], approval: 'required' }
    Object.assign(policy.configuration.templates, { dev: template })
    Object.assign(context, { policy: async () => policy })
    const inside: Caller = { kind: 'lease', lease: parent }
    const gone = new AbortController()
    const begin = () => {
      const pending = Promise.withResolvers<Approval>()
      const waiting = { onPending: pending.resolve, signal: gone.signal }
      const issued = issue(context, inside, ask, waiting)
      issued.catch(pending.reject)
      return { issued, pending: pending.promise }
    }
    const three = [begin(), begin(), begin()]
    await Promise.all(three.map((one) => one.pending))
    const fourth = begin()
    fourth.pending.catch(() => {})
    await expect(fourth.issued).rejects.toMatchObject({ code: 'approval_required' })
    gone.abort()
    await Promise.allSettled(three.map(({ issued }) => issued))
  })
})

describe('a native grant with approve rules', () => {
  it('needs an approval of the whole lease, and then holds those operations too', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger), {
      unconfined: true,
      grants: { main: { allow: ['read'], approve: ['burn'], deny: [] } },
    })
    const { pending, issued } = begin()
    const approval = await pending
    expect(approval.operations).toEqual([{ name: 'burn', risk: 'destructive' }])
    await approved(approval)
    const { lease } = await issued
    expect(lease.grants[0]?.operations).toEqual(['burn', 'look'])
  })
})
