import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import { sweep } from '../../src/broker/sweep.ts'
import type { Lease } from '../../src/core/lease.ts'
import { BrokerError } from '../../src/errors.ts'
import type { Store } from '../../src/store/store.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

let ledger: Ledger
let context: TestContext
let lease: Lease
let isFull = false

/** A real one, on a disk that is full when the test says so (proxied-disk.test.ts has a real disk). */
function onThatDisk(store: Store): Store {
  const full = () => new BrokerError('storage_full', 'no room', { hint: 'make some' })
  return {
    read: store.read,
    write: (work) => (isFull ? Promise.reject(full()) : store.write(work)),
    record: (records) => (isFull ? Promise.reject(full()) : store.record(records)),
    hasReserve: () => !isFull && store.hasReserve(),
    close: () => store.close(),
  }
}

beforeEach(async () => {
  isFull = false
  ledger = createLedger()
  context = await createContext(ledgerProvider(ledger))
  Object.assign(context, { store: onThatDisk(context.store) })
  const issued = await issue(context, OPERATOR, { environment: 'staging' })
  lease = await acknowledge(context, issued.lease.id, { session: false })
  isFull = true
  await expect(revoke(context, lease.id, 'task_ended', 'exit 0')).rejects.toMatchObject({
    code: 'storage_full',
    message: 'no room',
  })
})
afterEach(() => context.dispose())

const now = () => context.store.read.lease(lease.id)

async function swept(): Promise<number> {
  const started = await sweep(context)
  await Promise.allSettled([...context.revoking.values()])
  return started
}

describe('a lease that ends on a full disk', () => {
  it('has ended at its provider, and the database does not know', async () => {
    expect(ledger.alive.size).toBe(0)
    expect(await now()).toMatchObject({ state: 'active', endReason: null })
  })

  it('is let be while there is no room, but for a try now and then', async () => {
    const asked = ledger.revoked
    expect([await swept(), await swept()]).toEqual([0, 0])
    context.clock.now += 30_000
    expect([await swept(), await swept()]).toEqual([1, 0])
    expect(ledger.revoked).toBe(asked)
    expect(await now()).toMatchObject({ state: 'active' })
  })

  it('is recorded as what it was as soon as there is room', async () => {
    isFull = false
    expect(await swept()).toBe(1)
    expect(await now()).toMatchObject({
      ...{ state: 'revoked', endReason: 'task_ended', endNote: 'exit 0' },
    })
    expect(await swept()).toBe(0)
  })

  it('keeps its first reason, whoever ends it again', async () => {
    await expect(revoke(context, lease.id, 'ttl')).rejects.toMatchObject({ code: 'storage_full' })
    isFull = false
    await revoke(context, lease.id, 'revoked_by_operator')
    expect(await now()).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })
})
