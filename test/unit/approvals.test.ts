import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { awaitDecision } from '../../src/broker/approval/await.ts'
import { approve, deny } from '../../src/broker/approval/decide.ts'
import { abandonPending, lapseApprovals, lapseOfLease } from '../../src/broker/approval/lapse.ts'
import { type NewApproval, requestApproval } from '../../src/broker/approval/request.ts'
import { useApproval } from '../../src/broker/approval/use.ts'
import type { Approval } from '../../src/core/approval.ts'
import { Ticker } from '../../src/daemon/ticker.ts'
import { Secret } from '../../src/lib/secret.ts'
import { approvalOf, leaseId, leaseOf, placeLease } from '../fixtures/approvals.ts'
import { approverContext, enrolled } from '../fixtures/approver.ts'
import { codeAt } from '../fixtures/codes.ts'
import type { TestContext } from '../fixtures/context.ts'

let context: TestContext
let seed: string
beforeEach(async () => {
  context = await approverContext()
  seed = await enrolled(context)
  await placeLease(context.store, leaseOf(1, { expiresAt: context.clock.now + 3_600_000 }))
})
afterEach(() => context.dispose())

const LEASE = leaseId(1)

function wanted(changes: Partial<Approval> = {}): NewApproval {
  const { id, state, createdAt, lapsesAt, decidedAt, decidedBy, note, usedAt, ...rest } =
    approvalOf(1, changes)
  return rest
}

const asked = (changes: Partial<Approval> = {}) => {
  context.clock.now += 1 // ids sort by time
  return requestApproval(context, wanted(changes))
}
/** A fresh code each time: each works once. */
function code() {
  context.clock.now += 30_000
  return { kind: 'code', code: new Secret(codeAt(seed, context.clock.now)) } as const
}
const yes = (id: string) => approve(context, id, code(), 'alice')
const no = (id: string, reason: string | null = null) => deny(context, id, reason, 'alice')
const use = (approval: Approval, binding = approval.binding, lease: string = LEASE) =>
  context.store.write((writer) => useApproval(context, writer, approval.id, lease, binding))
const stored = async (id: string) => (await context.store.read.approval(id))?.state
const wait = (id: string, waitMs = 600_000, signal = new AbortController().signal) =>
  awaitDecision(context, id, waitMs, signal)

async function entries(type?: string) {
  const all = await context.store.read.entries({ after: 0, limit: 1000 })
  return all
    .filter((entry) => (type ? entry.type === type : entry.type.startsWith('approv')))
    .map((entry) => ({ ...entry, data: JSON.parse(entry.data) }))
}

/** A lease that waits for its own approval, as `exec` leaves it. */
async function pendingLease() {
  const lease = await placeLease(
    context.store,
    leaseOf(2, {
      state: 'pending',
      grants: [],
      deliveredAt: null,
      expiresAt: context.clock.now + 600_000,
    }),
  )
  return asked({ kind: 'lease', lease: lease.id, grant: null, provider: null, targets: [] })
}

describe('asking', () => {
  it('is refused for a fourth while three wait, and says which', async () => {
    const ids = []
    for (const binding of ['a', 'b', 'c']) ids.push((await asked({ binding })).id)
    const refused = asked({ binding: 'd' })
    await expect(refused).rejects.toMatchObject({
      code: 'approval_required',
      details: { approvals: ids.toReversed() },
    })
    await expect(refused).rejects.toThrow(
      `this task already has 3 requests that wait for a person: ${ids.toReversed().join(', ')}`,
    )
    await no(ids[0] ?? '')
    expect((await asked({ binding: 'd' })).state).toBe('pending')
  })

  it('is refused for a fourth also when all ask at once', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 12 }, (_, n) => asked({ binding: `b${n}` })),
    )
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    expect(await context.store.read.pendingApprovals(LEASE)).toBe(3)
  })

  it('is refused for a lease that has ended', async () => {
    await placeLease(context.store, leaseOf(3, { state: 'revoked', endedAt: 1 }))
    await expect(asked({ lease: leaseId(3) })).rejects.toMatchObject({ code: 'lease_ended' })
  })

  it('is refused for more than a person can check', async () => {
    const target = wanted().targets[0]
    if (!target) throw new Error('no target')
    const targets = Array.from({ length: 101 }, () => target)
    await expect(asked({ targets })).rejects.toThrow('more than 100 things')
  })

  it('gets the same answer for the same request: pending, approved, and denied for good', async () => {
    const first = await asked()
    expect(await asked()).toEqual(first)
    await yes(first.id)
    expect(await asked()).toMatchObject({ id: first.id, state: 'approved' })
    await no(first.id, 'not that volume')
    expect(await asked()).toMatchObject({ id: first.id, state: 'denied', note: 'not that volume' })
    expect(await entries('approval.requested')).toHaveLength(1)
  })

  it('asks anew after one was used or has lapsed, recorded or not', async () => {
    const first = await asked()
    await yes(first.id)
    await use(first)
    const second = await asked()
    expect(second).toMatchObject({ state: 'pending' })
    expect(second.id).not.toBe(first.id)
    context.clock.now += 600_000
    const third = await asked()
    expect(third.id).not.toBe(second.id)
    expect(await stored(second.id)).toBe('lapsed')
  })

  it('leaves an entry with all that the person is shown', async () => {
    const approval = await asked()
    expect(await entries('approval.requested')).toMatchObject([
      {
        type: 'approval.requested',
        lease: LEASE,
        data: {
          approval: approval.id,
          operations: [{ name: 'volumeDelete', risk: 'destructive' }],
          targets: [{ id: 'vol-1', name: 'pgdata', notes: ['3 backups'] }],
          rule: 'approve: volumeDelete',
          binding: 'b'.repeat(64),
        },
      },
    ])
  })

  it('keeps words of any kind, and nothing to type that a task chose or nobody can type', async () => {
    const [target] = wanted().targets
    if (!target) throw new Error('no target')
    let n = 0
    const typed = async (name: string, renamed: boolean) => {
      const binding = `${++n}`
      const approval = await asked({
        typed: name,
        binding,
        targets: [{ ...target, name, renamed }],
      })
      await no(approval.id)
      return (await context.store.read.approval(approval.id))?.typed
    }
    expect(await typed('pgdata', false)).toBe('pgdata')
    expect(await typed('données 1', false)).toBe('données 1')
    expect(await typed('pgdata', true)).toBe('vol-1')
    for (const name of ['', ' ', 'pg\u200bdata', 'pg\ndata', '\ud800', 'x'.repeat(300), 'pg ']) {
      expect(await typed(name, false), JSON.stringify(name)).toBe('vol-1')
    }
    const long = await asked({ summary: 'y'.repeat(10_000), reason: 'lone \udc00' })
    expect(long.summary).toHaveLength(4096 + '… (cut)'.length)
    expect(long.reason).toBe('lone \ufffd')
  })
})

describe('using one', () => {
  it('is refused unless it was approved, for this lease and exactly this', async () => {
    const approval = await asked()
    await expect(use(approval)).rejects.toMatchObject({ code: 'approval_required' })
    await yes(approval.id)
    await expect(use(approval, 'c'.repeat(64))).rejects.toMatchObject({ code: 'conflict' })
    await expect(use(approval, approval.binding, leaseId(2))).rejects.toMatchObject({
      code: 'conflict',
    })
    await expect(use({ ...approval, id: 'apr_x' })).rejects.toMatchObject({ code: 'not_found' })
    await use(approval)
    expect(await stored(approval.id)).toBe('used')
    expect(await entries('approval.used')).toMatchObject([
      { lease: LEASE, data: { approval: approval.id, binding: approval.binding } },
    ])
  })

  it('passes exactly one of many that try at once', async () => {
    const approval = await asked()
    await yes(approval.id)
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => use(approval)))
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const one of all) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'conflict' })
    }
    expect(await entries('approval.used')).toHaveLength(1)
  })

  it('is refused when it was denied, also after it was approved', async () => {
    const approval = await asked()
    await yes(approval.id)
    await no(approval.id)
    await expect(use(approval)).rejects.toMatchObject({ code: 'approval_denied' })
  })

  it('is refused from its last moment on, before anybody recorded that it lapsed', async () => {
    const approval = await asked()
    await yes(approval.id)
    context.clock.now = approval.lapsesAt
    await expect(use(approval)).rejects.toMatchObject({ code: 'approval_lapsed' })
    await lapseApprovals(context)
    await expect(use(approval)).rejects.toMatchObject({ code: 'approval_lapsed' })
  })

  it('is refused when the lease has ended', async () => {
    const approval = await asked()
    await yes(approval.id)
    const lease = await context.store.read.lease(LEASE)
    if (!lease) throw new Error('no lease')
    await context.store.write((writer) => writer.saveLease({ ...lease, state: 'revoking' }, null))
    await expect(use(approval)).rejects.toMatchObject({ code: 'lease_ended' })
  })
})

describe('deciding', () => {
  it('fails clearly and changes nothing for one that is decided', async () => {
    const approved = await asked({ binding: 'a' })
    await yes(approved.id)
    await expect(yes(approved.id)).rejects.toThrow(`approval "${approved.id}" is approved already`)
    const denied = await asked({ binding: 'b' })
    await no(denied.id)
    for (const again of [() => yes(denied.id), () => no(denied.id)]) {
      await expect(again()).rejects.toThrow(`approval "${denied.id}" was denied, and stays so`)
    }
    await use(approved)
    for (const again of [() => yes(approved.id), () => no(approved.id)]) {
      await expect(again()).rejects.toMatchObject({ code: 'conflict', details: { state: 'used' } })
    }
    expect(await stored(approved.id)).toBe('used')
    expect(await stored(denied.id)).toBe('denied')
    expect(await entries('approval.approved')).toHaveLength(1)
    expect(await entries('approval.denied')).toHaveLength(1)
    expect(await entries('approver.refused')).toEqual([])
  })

  it('fails for one whose time is over, and for one that is not there', async () => {
    const approval = await asked()
    context.clock.now = approval.lapsesAt - 30_000 // `yes` takes thirty seconds
    await expect(yes(approval.id)).rejects.toMatchObject({ code: 'conflict' })
    await expect(no(approval.id)).rejects.toThrow(`approval "${approval.id}" has lapsed`)
    await expect(yes('apr_x')).rejects.toMatchObject({ code: 'not_found' })
    await expect(no('apr_x')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('approves nothing of a lease that has ended', async () => {
    const approval = await asked()
    const lease = await context.store.read.lease(LEASE)
    if (!lease) throw new Error('no lease')
    await context.store.write((writer) => writer.saveLease({ ...lease, state: 'revoking' }, null))
    await expect(yes(approval.id)).rejects.toThrow(
      `the lease of approval "${approval.id}" has ended`,
    )
    expect(await stored(approval.id)).toBe('pending')
  })

  it('comes to a no whenever a yes and a no come at once', async () => {
    const approval = await asked()
    const all = await Promise.allSettled([yes(approval.id), no(approval.id)])
    expect(await stored(approval.id)).toBe('denied')
    // Denied first, the yes finds it decided; approved first, the no takes back what was not used.
    if (all[0]?.status === 'rejected') expect(all[0].reason).toMatchObject({ code: 'conflict' })
    expect(all[1]).toMatchObject({ status: 'fulfilled' })
  })

  it('is done once by two who say yes at once', async () => {
    const approval = await asked()
    const proof = code()
    const both = () => approve(context, approval.id, proof, 'alice')
    const all = await Promise.allSettled([both(), both()])
    expect(all.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(await entries('approval.approved')).toHaveLength(1)
  })

  it('records who, and tells nothing secret', async () => {
    const approval = await asked()
    const proof = code()
    const decided = await approve(context, approval.id, proof, 'alice')
    expect(decided).toMatchObject({
      state: 'approved',
      decidedBy: 'alice',
      decidedAt: context.clock.now,
    })
    expect(await entries('approval.approved')).toMatchObject([
      { lease: LEASE, data: { approval: approval.id, by: 'alice', confirmed: 'totp' } },
    ])
    const text = JSON.stringify(await context.store.read.entries({ after: 0, limit: 1000 }))
    expect(text).not.toContain(seed)
    expect(text).not.toContain(`"${proof.code.reveal()}"`)
  })
})

describe('waiting for a decision', () => {
  it('of one that is not there is refused', async () => {
    await expect(wait('apr_x')).rejects.toMatchObject({ code: 'not_found' })
  })

  it('ends at once with the yes or the no', async () => {
    for (const [binding, decide, state] of [
      ['a', yes, 'approved'],
      ['b', no, 'denied'],
    ] as const) {
      const { id } = await asked({ binding })
      const waiting = wait(id)
      await turn()
      expect(context.approvals.isAwaited(id)).toBe(true)
      await decide(id)
      expect(await waiting).toMatchObject({ id, state })
      expect(context.approvals.isAwaited(id)).toBe(false)
      expect(await wait(id)).toMatchObject({ state })
    }
  })

  it('misses no decision that falls between asking and listening', async () => {
    const { id } = await asked()
    const [decided] = await Promise.all([wait(id), no(id)])
    expect(decided.state).toBe('denied')
  })

  it('ends as it stands when the time is over, or the one who waits has gone', async () => {
    const { id } = await asked()
    expect(await wait(id, 1)).toMatchObject({ state: 'pending' })
    const gone = new AbortController()
    const waiting = wait(id, 600_000, gone.signal)
    await turn()
    gone.abort()
    expect(await waiting).toMatchObject({ state: 'pending' })
    expect(await wait(id, 600_000, AbortSignal.abort())).toMatchObject({ state: 'pending' })
    expect(context.approvals.isAwaited(id)).toBe(false)
  })

  it('ends as it stands then, not as it stood before', async () => {
    const { id } = await asked()
    const gone = new AbortController()
    const waiting = wait(id, 600_000, gone.signal)
    await turn()
    const approval = await context.store.read.approval(id)
    if (!approval) throw new Error('no approval')
    await context.store.write((writer) => writer.saveApproval({ ...approval, state: 'lapsed' }))
    gone.abort() // and nobody told: it has to be looked up again
    expect(await waiting).toMatchObject({ state: 'lapsed' })
  })

  it('tells everybody who waits, and does not ask the database meanwhile', async () => {
    const { id } = await asked()
    const read = context.store.read.approval.bind(context.store.read)
    let reads = 0
    context.store.read.approval = (one) => {
      reads++
      return read(one)
    }
    const all = Array.from({ length: 5 }, () => wait(id))
    await turn()
    await no(id)
    expect((await Promise.all(all)).map(({ state }) => state)).toEqual(Array(5).fill('denied'))
    expect(reads).toBe(5)
  })
})

describe('lapsing', () => {
  it('ends what nobody decided or used in time, once, and tells who waits', async () => {
    const pending = await asked({ binding: 'a' })
    const approved = await asked({ binding: 'b' })
    await yes(approved.id)
    const waiting = wait(pending.id)
    await turn()
    expect(await lapseApprovals(context)).toBe(0)
    context.clock.now = approved.lapsesAt
    expect(await lapseApprovals(context)).toBe(2)
    expect(await lapseApprovals(context)).toBe(0)
    expect(await waiting).toMatchObject({ state: 'lapsed' })
    expect(await entries('approval.lapsed')).toMatchObject([
      { lease: LEASE, data: { approval: pending.id, was: 'pending' } },
      { lease: LEASE, data: { approval: approved.id, was: 'approved' } },
    ])
  })

  it('writes nothing when there is nothing to lapse', async () => {
    await asked()
    context.store.write = () => Promise.reject(new Error('written'))
    expect(await lapseApprovals(context)).toBe(0)
  })

  it('comes with the tick, and a tick that cannot still ends leases', async () => {
    const approval = await asked()
    let monotonic = 0
    const ticker = new Ticker(
      context,
      () => monotonic,
      async () => {},
    )
    const pass = async (ms: number) => {
      context.clock.now += ms
      monotonic += ms
      await ticker.tick()
      await Promise.allSettled([...context.revoking.values()])
    }
    await pass(600_000)
    expect(await stored(approval.id)).toBe('lapsed')
    const again = await asked()
    const lapsed = context.store.read.lapsedApprovals.bind(context.store.read)
    context.store.read.lapsedApprovals = () => Promise.reject(new Error('not now'))
    await pass(3_600_000)
    expect(await context.store.read.state(LEASE)).not.toBe('active')
    expect(context.errors).toHaveLength(1)
    context.store.read.lapsedApprovals = lapsed
    await pass(1000)
    expect(await stored(again.id)).toBe('lapsed')
    await ticker.stop()
  })

  it('of an ended lease ends what is open of it, and of no other', async () => {
    const lease = await placeLease(context.store, leaseOf(5))
    const mine = [await asked(), await asked({ binding: 'x' })]
    const other = await asked({ lease: lease.id })
    await yes(mine[0]?.id ?? '')
    const denied = await asked({ binding: 'y' })
    await no(denied.id)
    const ended = await context.store.read.lease(LEASE)
    if (!ended) throw new Error('no lease')
    const lapsed = await context.store.write((writer) => lapseOfLease(context, writer, ended))
    expect(lapsed.map(({ id }) => id).toSorted()).toEqual(mine.map(({ id }) => id).toSorted())
    expect(await stored(other.id)).toBe('pending')
    expect(await stored(denied.id)).toBe('denied')
  })
})

describe('a lease that waits for its approval', () => {
  const lease = async () => context.store.read.lease(leaseId(2))

  it('ends denied with the no, in the same transaction', async () => {
    const approval = await pendingLease()
    await no(approval.id, 'not today')
    expect(await lease()).toMatchObject({
      state: 'denied',
      endReason: 'denied',
      endNote: 'not today',
      endedAt: context.clock.now,
    })
    expect(await context.store.read.due(Number.MAX_SAFE_INTEGER, 9)).not.toContain(leaseId(2))
    const [entry] = await entries('lease.denied')
    expect(entry).toMatchObject({
      lease: leaseId(2),
      data: { reason: 'denied', note: 'not today' },
    })
  })

  it('ends lapsed when nobody decides, or nobody uses the yes', async () => {
    const approval = await pendingLease()
    await yes(approval.id)
    context.clock.now = approval.lapsesAt
    await lapseApprovals(context)
    expect(await lease()).toMatchObject({
      state: 'lapsed',
      endReason: 'lapsed',
      endedAt: approval.lapsesAt,
    })
    expect(await entries('lease.lapsed')).toHaveLength(1)
  })

  it('ends with its question when whoever asked is gone, for the reason that is given', async () => {
    const approval = await pendingLease()
    const waiting = wait(approval.id)
    await turn()
    expect(await abandonPending(context, leaseId(2), 'task_ended', 'it went away')).toMatchObject({
      state: 'lapsed',
      endReason: 'task_ended',
      endNote: 'it went away',
    })
    expect(await waiting).toMatchObject({ state: 'lapsed' })
    await expect(yes(approval.id)).rejects.toMatchObject({ code: 'conflict' })
    expect(await abandonPending(context, leaseId(2), 'task_ended', null)).toBeUndefined()
    expect(await abandonPending(context, LEASE, 'task_ended', null)).toBeUndefined()
    expect(await context.store.read.state(LEASE)).toBe('active')
  })

  it('uses its approval on the way to its minting, and then no more', async () => {
    const approval = await pendingLease()
    await yes(approval.id)
    await use(approval, approval.binding, leaseId(2))
    await expect(use(approval, approval.binding, leaseId(2))).rejects.toMatchObject({
      code: 'conflict',
    })
  })
})
