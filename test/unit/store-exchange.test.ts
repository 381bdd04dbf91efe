import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store, StoredExchange } from '../../src/store/store.ts'
import { leaseId, leaseOf, placeLease, START } from '../fixtures/approvals.ts'
import { KEYS } from '../fixtures/context.ts'

let folder: string
let store: Store
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'broker-exchange-'))
  store = await openSqlite({ path: join(folder, 'db'), keys: KEYS, now: () => START })
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const RUN = {
  key: 'run-1',
  shown: { repository: 'octo-org/my-repo', ref: 'main', workflow: null, run: '7' },
}
const used = (token: string, changes: Partial<StoredExchange> = {}): StoredExchange => ({
  token,
  lease: leaseId(1),
  key: 'k',
  request: 'r',
  keepUntil: START + 1000,
  ...changes,
})

describe('the use of an identity token', () => {
  it('is taken once, and the first stays what it was', async () => {
    const first = used('t')
    expect(await store.write((writer) => writer.consumeToken(first))).toBe(true)
    const second = used('t', { lease: leaseId(2), key: null, request: null })
    expect(await store.write((writer) => writer.consumeToken(second))).toBe(false)
    expect(await store.read.exchange('t')).toEqual(first)
    expect(await store.read.exchange('u')).toBeUndefined()
  })

  it('is undone with its transaction', async () => {
    const failing = store.write(async (writer) => {
      expect(await writer.consumeToken(used('t'))).toBe(true)
      throw new Error('not this one')
    })
    await expect(failing).rejects.toThrow('not this one')
    expect(await store.write((writer) => writer.consumeToken(used('t')))).toBe(true)
  })

  it('is forgotten with its sealed answer when nobody accepts the token any more', async () => {
    await placeLease(store, leaseOf(1))
    await placeLease(store, leaseOf(2))
    await store.write(async (writer) => {
      await writer.consumeToken(used('old'))
      await writer.consumeToken(used('new', { lease: leaseId(2), keepUntil: START + 2000 }))
      for (const lease of [leaseId(1), leaseId(2)]) {
        await writer.saveSealed(lease, 'answer', 'a')
        await writer.saveSealed(lease, 'variables', 'v')
      }
    })
    await store.write((writer) => writer.forgetExchanges(START + 1000))
    expect(await store.read.exchange('old')).toBeDefined()
    await store.write((writer) => writer.forgetExchanges(START + 1001))
    expect(await store.read.exchange('old')).toBeUndefined()
    expect(await store.read.exchange('new')).toBeDefined()
    expect(await store.read.sealed(leaseId(1), 'answer')).toBeUndefined()
    expect(await store.read.sealed(leaseId(1), 'variables')).toBe('v')
    expect(await store.read.sealed(leaseId(2), 'answer')).toBe('a')
  })
})

describe('what is kept sealed for a lease', () => {
  it('is dropped one by one or all at once, and only its own', async () => {
    await placeLease(store, leaseOf(1))
    await placeLease(store, leaseOf(2))
    await store.write(async (writer) => {
      for (const lease of [leaseId(1), leaseId(2)]) {
        await writer.saveSealed(lease, 'answer', 'a')
        await writer.saveSealed(lease, 'variables', 'v')
      }
      await writer.dropSealed(leaseId(1), 'variables')
    })
    expect(await store.read.sealed(leaseId(1), 'variables')).toBeUndefined()
    expect(await store.read.sealed(leaseId(1), 'answer')).toBe('a')
    await store.write((writer) => writer.dropSealed(leaseId(1)))
    expect(await store.read.sealed(leaseId(1), 'answer')).toBeUndefined()
    expect(await store.read.sealed(leaseId(2), 'variables')).toBe('v')
  })
})

describe('leases of one run', () => {
  it('are refused beside one that has not ended, and nothing of them is left', async () => {
    await placeLease(store, leaseOf(1, { run: RUN }))
    await expect(placeLease(store, leaseOf(2, { run: RUN }))).rejects.toMatchObject({
      code: 'conflict',
      message: 'this run already has a live lease of template "dev"',
    })
    expect(await store.read.lease(leaseId(2))).toBeUndefined()
    expect(await store.read.liveCount('template:dev')).toBe(1)
  })

  it('follow one another, and stand beside those of other templates and runs', async () => {
    const first = await placeLease(store, leaseOf(1, { run: RUN }))
    const revoking = { ...first, state: 'revoking' } as const
    const ended = { ...first, state: 'revoked', endedAt: START } as const
    await store.write((writer) => writer.saveLease(revoking, START))
    await expect(placeLease(store, leaseOf(2, { run: RUN }))).rejects.toThrow('already has')
    await store.write((writer) => writer.saveLease(ended, null))
    await placeLease(store, leaseOf(3, { run: RUN }))
    const template = { name: 'other', version: 1, sha256: 'f'.repeat(64) }
    await placeLease(store, leaseOf(4, { run: RUN, template }))
    await placeLease(store, leaseOf(5, { run: { ...RUN, key: 'run-2' } }))
    for (const n of [6, 7]) await placeLease(store, leaseOf(n, { run: { ...RUN, key: null } }))
    for (const n of [8, 9]) await placeLease(store, leaseOf(n))
    expect((await store.read.lease(leaseId(3)))?.run).toEqual(RUN)
    expect((await store.read.lease(leaseId(7)))?.run).toEqual({ ...RUN, key: null })
    expect((await store.read.lease(leaseId(9)))?.run).toBeNull()
  })
})

describe('the grants that are live', () => {
  it('are counted by state, environment and provider', async () => {
    expect(await store.read.liveGrants()).toEqual([])
    for (const n of [1, 2]) await placeLease(store, leaseOf(n))
    await placeLease(store, leaseOf(3, { state: 'revoked', endedAt: START }))
    expect(await store.read.liveGrants()).toEqual([
      { state: 'active', environment: 'staging', provider: 'railway', count: 2 },
    ])
  })
})

describe('the delivery of a lease', () => {
  const deliver = (n: number, at: number) => store.write((writer) => writer.deliver(leaseId(n), at))

  it('is taken for one that is active and was not delivered, and for no other', async () => {
    const open = { deliveredAt: null, state: 'active' } as const
    await placeLease(store, leaseOf(1, open))
    await placeLease(store, leaseOf(2, { ...open, state: 'revoking' }))
    await placeLease(store, leaseOf(3, { ...open, state: 'revoked', endedAt: START }))
    for (const n of [2, 3, 4]) expect(await deliver(n, START)).toBe(false)
    await store.write((writer) => writer.defer([leaseId(1)], START))
    expect(await deliver(1, START + 5)).toBe(true)
    expect(await deliver(1, START + 6)).toBe(false)
    expect((await store.read.lease(leaseId(1)))?.deliveredAt).toBe(START + 5)
    expect(await store.read.due(START + 1_799_999, 10)).toEqual([])
    expect(await store.read.due(START + 1_800_000, 10)).toEqual([leaseId(1), leaseId(2)])
  })
})
