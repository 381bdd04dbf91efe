import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import {
  approvalId,
  approvalOf,
  leaseId,
  leaseOf,
  placeLease,
  START,
} from '../fixtures/approvals.ts'
import { KEYS } from '../fixtures/context.ts'

let folder: string
let store: Store
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'broker-approvals-'))
  store = await openSqlite({ path: join(folder, 'db'), keys: KEYS, now: () => START })
  await placeLease(store, leaseOf(1))
  await placeLease(store, leaseOf(2))
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const insert = (...approvals: ReturnType<typeof approvalOf>[]) =>
  store.write(async (writer) => {
    for (const approval of approvals) await writer.insertApproval(approval)
  })

describe('approvals in the store', () => {
  it('refuse every way back: what is denied, lapsed or used stays so', async () => {
    const states = ['pending', 'approved', 'denied', 'lapsed', 'used'] as const
    const allowed = new Set([
      'pending>approved',
      'pending>denied',
      'pending>lapsed',
      'approved>used',
      'approved>denied',
      'approved>lapsed',
    ])
    let n = 0
    for (const from of states) {
      for (const to of states) {
        if (from === to) continue
        const approval = approvalOf(++n, { state: from })
        await insert(approval)
        const moved = store.write((writer) => writer.saveApproval({ ...approval, state: to }))
        if (allowed.has(`${from}>${to}`)) await moved
        else await expect(moved, `${from} to ${to}`).rejects.toThrow('no such decision')
      }
    }
  })

  it('refuse one of a lease that is not there, and a save of one that is not', async () => {
    await expect(insert(approvalOf(1, { lease: leaseId(9) }))).rejects.toThrow('FOREIGN KEY')
    await expect(store.write((writer) => writer.saveApproval(approvalOf(1)))).rejects.toThrow(
      `no row for approval ${approvalId(1)}`,
    )
  })

  it('come back as they were put in, and only the decision can be changed', async () => {
    const approval = approvalOf(1)
    await insert(approval)
    expect(await store.read.approval(approval.id)).toEqual(approval)
    const decided = {
      ...approval,
      state: 'approved',
      decidedAt: START + 1,
      decidedBy: 'alice',
      note: 'go on',
      usedAt: START + 2,
    } as const
    await store.write((writer) =>
      writer.saveApproval({ ...decided, binding: 'other', summary: 'other', lapsesAt: 0 }),
    )
    expect(await store.read.approval(approval.id)).toEqual(decided)
    expect(await store.read.approval(approvalId(2))).toBeUndefined()
  })

  it('are listed newest first, by page, by lease, pending ones alone', async () => {
    await insert(
      approvalOf(1),
      approvalOf(2, { lease: leaseId(2) }),
      approvalOf(3, { state: 'denied' }),
      approvalOf(4),
    )
    const ids = async (query: Parameters<Store['read']['approvals']>[0]) =>
      (await store.read.approvals(query)).map(({ id }) => Number(id.slice(-2)))
    expect(await ids({ pending: true, limit: 9 })).toEqual([4, 2, 1])
    expect(await ids({ pending: false, limit: 2 })).toEqual([4, 3])
    expect(await ids({ pending: false, limit: 9, before: approvalId(3) })).toEqual([2, 1])
    expect(await ids({ pending: true, lease: leaseId(2), limit: 9 })).toEqual([2])
    expect(await store.read.pendingApprovals(leaseId(1))).toBe(2)
  })

  it('are found by lease and binding, the newest alone', async () => {
    await insert(approvalOf(1, { state: 'used' }), approvalOf(2), approvalOf(3, { binding: 'c' }))
    const found = (lease: number, binding: string) =>
      store.read.approvalFor(leaseId(lease), binding).then((one) => one?.id)
    expect(await found(1, 'b'.repeat(64))).toBe(approvalId(2))
    expect(await found(1, 'c')).toBe(approvalId(3))
    expect(await found(2, 'c')).toBeUndefined()
  })

  it('lapse at their time, pending and approved ones, oldest first', async () => {
    await insert(
      approvalOf(1, { lapsesAt: START + 2 }),
      approvalOf(2, { lapsesAt: START + 1, state: 'approved' }),
      approvalOf(3, { lapsesAt: START, state: 'denied' }),
      approvalOf(4, { lapsesAt: START + 3 }),
    )
    const lapsed = async (now: number) =>
      (await store.read.lapsedApprovals(now, 9)).map(({ id }) => id)
    expect(await lapsed(START)).toEqual([])
    expect(await lapsed(START + 2)).toEqual([approvalId(2), approvalId(1)])
  })

  it('move with every deadline when the clock is set back, and so do leases that wait', async () => {
    await insert(approvalOf(1), approvalOf(2, { state: 'used' }))
    await placeLease(
      store,
      leaseOf(3, { state: 'pending', expiresAt: START + 600_000, grants: [] }),
    )
    await store.write((writer) => writer.shiftDeadlines(-1000))
    expect((await store.read.approval(approvalId(1)))?.lapsesAt).toBe(START + 599_000)
    expect((await store.read.approval(approvalId(2)))?.lapsesAt).toBe(START + 600_000)
    expect(await store.read.due(START + 599_000, 9)).toEqual([leaseId(3)])
  })

  it('are looked up by index, however many were decided', () => {
    const database = new DatabaseSync(join(folder, 'db'), { readOnly: true })
    const plan = (query: string) =>
      database
        .prepare(`explain query plan ${query}`)
        .all()
        .map((row) => String(row['detail']))
        .join(' ')
    expect(
      plan("select * from approvals where state = 'pending' and lease = ? order by id desc"),
    ).toContain('approvals_pending')
    expect(
      plan("select * from approvals where state in ('pending', 'approved') and lapses_at <= ?"),
    ).toContain('approvals_open')
    expect(
      plan('select * from approvals where lease = ? and binding = ? order by id desc limit 1'),
    ).toContain('approvals_binding')
    expect(
      plan("select count(*) from leases where principal_id = ? and state = 'pending'"),
    ).toContain('leases_pending')
    expect(
      plan("select id from leases where proxied = 1 and live = 1 and state = 'active' order by id"),
    ).toContain('leases_proxied')
    database.close()
  })
})
