import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import type { Lease } from '../../src/core/lease.ts'
import { createLedger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

const SCOPES = ['principal:local:alice', 'template:dev']

let context: TestContext
beforeEach(async () => {
  context = await createContext(ledgerProvider(createLedger()))
})
afterEach(() => context.dispose())

async function counts(): Promise<readonly number[]> {
  return Promise.all(SCOPES.map((scope) => context.store.read.liveCount(scope)))
}

async function issued(): Promise<Lease> {
  const { lease } = await issue(context, OPERATOR, { environment: 'staging' })
  return acknowledge(context, lease.id, { session: false })
}

describe('saving a lease', () => {
  it('refuses one that was never inserted, and counts nothing for it', async () => {
    const lease = { ...(await issued()), id: 'lse_00000000000000000000000000' } as const
    await expect(
      context.store.write((writer) => writer.saveLease(lease, lease.expiresAt)),
    ).rejects.toThrow('no row for lease lse_00000000000000000000000000')
    expect(await counts()).toEqual([1, 1])
  })

  it('takes an ended lease off the counts once, however often that is saved', async () => {
    const [first] = [await issued(), await issued()]
    const ended = await revoke(context, first.id, 'revoked_by_operator')
    await context.store.write((writer) => writer.saveLease(ended, null))
    await context.store.write((writer) => writer.saveLease(ended, null))
    expect(await counts()).toEqual([1, 1])
  })

  it('counts a lease from the moment it may hold a credential, not from its request', async () => {
    const asked: Lease = {
      ...(await issued()),
      id: 'lse_00000000000000000000000001',
      state: 'requested',
    }
    const secrets = { handleDigest: '', sessionDigest: null }
    await context.store.write((writer) => writer.insertLease(asked, secrets, null))
    expect(await counts()).toEqual([1, 1])
    for (const next of ['minting', 'active'] as const) {
      await context.store.write((writer) => writer.saveLease({ ...asked, state: next }, null))
      expect(await counts()).toEqual([2, 2])
    }
  })

  it('keeps the lease in the list of the living for as long as it is saved as live', async () => {
    const lease = await issued()
    const later = { ...lease, expiresAt: lease.expiresAt + 1 }
    await context.store.write((writer) => writer.saveLease(later, later.expiresAt))
    expect(await context.store.read.leases({ live: true, limit: 9 })).toEqual([later])
    expect(await context.store.read.due(lease.expiresAt, 9)).toEqual([])
    expect(await context.store.read.due(later.expiresAt, 9)).toEqual([lease.id])
    await revoke(context, lease.id, 'ttl')
    expect(await context.store.read.leases({ live: true, limit: 9 })).toEqual([])
  })

  it('writes every grant but those that are the very objects of the lease before', async () => {
    const before = await issued()
    const [grant] = before.grants
    if (!grant) throw new Error('a lease without grants')
    const changed: Lease = { ...before, grants: [{ ...grant, notes: ['changed'] }] }
    await context.store.write((writer) => writer.saveLease(changed, before.expiresAt, before))
    expect(await context.store.read.lease(before.id)).toEqual(changed)
    // Behind the store's back, so that a write of the unchanged grant would be seen.
    const database = new DatabaseSync(join(context.folder, 'broker.sqlite'))
    database.exec(`update grants set notes = '["kept"]'`)
    database.close()
    await context.store.write((writer) => writer.saveLease(changed, before.expiresAt, changed))
    expect((await context.store.read.lease(before.id))?.grants[0]?.notes).toEqual(['kept'])
  })
})

describe('a statement that was compiled once', () => {
  it('carries nothing of an earlier run into a later one', async () => {
    const [one, other] = [await issued(), await issued()]
    expect((await context.store.read.lease(one.id))?.id).toBe(one.id)
    expect((await context.store.read.lease(other.id))?.id).toBe(other.id)
    expect(await context.store.read.lease('lse_unknown')).toBeUndefined()
    expect(await context.store.read.state(one.id)).toBe('active')
    await revoke(context, one.id, 'ttl')
    expect(await context.store.read.state(one.id)).toBe('revoked')
    expect(await context.store.read.state(other.id)).toBe('active')
  })

  it('keeps an absent value absent', async () => {
    const lease = await issued()
    const boot = () =>
      context.store.read.heldByOthers('another boot', 9) as Promise<readonly string[]>
    await context.store.write((writer) => writer.holdSession(lease.id, 'boot-1'))
    expect(await boot()).toEqual([lease.id])
    await context.store.write((writer) => writer.holdSession(lease.id, null))
    expect(await boot()).toEqual([])
  })
})
