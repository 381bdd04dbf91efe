import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { verifyAudit } from '../../src/broker/audit.ts'
import { issue } from '../../src/broker/issue.ts'
import { reconcile } from '../../src/broker/reconcile.ts'
import { revoke } from '../../src/broker/revoke.ts'
import {
  afterDrift,
  catchUpWithClock,
  Drift,
  endLostSessions,
  recover,
  sweep,
} from '../../src/broker/sweep.ts'
import { TIMING } from '../../src/core/deadlines.ts'
import type { Lease } from '../../src/core/lease.ts'
import { BrokerError } from '../../src/errors.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, KEYS, OPERATOR, type TestContext } from '../fixtures/context.ts'

let ledger: Ledger
let context: TestContext

beforeEach(async () => {
  ledger = createLedger()
  context = await createContext(ledgerProvider(ledger))
})
afterEach(async () => {
  expect(context.errors).toEqual([])
  expect(await verifyAudit(context, KEYS, null)).toMatchObject({ ok: true })
  await context.dispose()
})

const ask = { environment: 'staging', reason: 'a test' }

async function start(): Promise<Lease> {
  const issued = await issue(context, OPERATOR, ask)
  return acknowledge(context, issued.lease.id, { session: true })
}

/** Ticks until nothing is due and nothing is under way. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const started = await sweep(context)
    await Promise.allSettled([...context.revoking.values()])
    if (started === 0 && context.revoking.size === 0) return
  }
}

async function now(lease: Lease): Promise<Lease> {
  const found = await context.store.read.lease(lease.id)
  if (!found) throw new Error('the lease is gone')
  return found
}

async function entryTypes(lease: Lease | null = null): Promise<string[]> {
  const entries = await context.store.read.entries({ after: 0, limit: 1000, lease: lease?.id })
  return entries.map((entry) => entry.type)
}

describe('issuing', () => {
  it('refuses a lifetime beyond what the template allows', async () => {
    await expect(issue(context, OPERATOR, { ...ask, ttlMs: 9 * 3_600_000 })).rejects.toMatchObject({
      code: 'denied',
      message: 'template "dev" allows at most 4h, asked for 9h',
    })
    expect(ledger.minted).toBe(0)
  })

  it('records a refusal as a denied lease with its entry', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger), { isolation: 'confine' })
    await expect(issue(context, OPERATOR, { ...ask, isolation: 'mask' })).rejects.toMatchObject({
      code: 'isolation_unavailable',
      message: 'template "dev" asks for isolation "confine", the task would run at "mask"',
      hint: expect.stringContaining('broker doctor says what "confine" needs'),
    })
    const [denied] = await context.store.read.leases({ live: false, limit: 10 })
    expect(denied).toMatchObject({ state: 'denied', endReason: 'denied', grants: [] })
    expect(denied?.endedAt).not.toBeNull()
    expect(await entryTypes()).toEqual(['lease.denied'])
  })

  it('refuses a protected environment to a template that lets a task connect anywhere', async () => {
    await expect(issue(context, OPERATOR, { environment: 'production' })).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringMatching(/"production" is protected/),
    })
    expect(ledger.minted).toBe(0)
  })

  it('issues nothing that needs an approval to one who cannot wait for it', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger), { egress: ['example.com'] })
    await expect(issue(context, OPERATOR, { environment: 'production' })).rejects.toMatchObject({
      code: 'approval_required',
    })
    expect(ledger.minted).toBe(0)
  })

  it('revokes what was minted when the proxy that limits egress cannot be opened', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger), { egress: ['example.com'] })
    await expect(issue(context, OPERATOR, ask)).rejects.toThrow('no proxies')
    expect(ledger.minted).toBe(1)
    expect(ledger.alive.size).toBe(0)
  })

  it('refuses an environment that does not exist and names those that do', async () => {
    await expect(issue(context, OPERATOR, { environment: 'stagin' })).rejects.toMatchObject({
      code: 'not_found',
      hint: 'environments: staging, qa, production',
    })
  })

  it('writes the intent with its entry before the provider is called', async () => {
    const seen: string[] = []
    await context.dispose()
    const provider = ledgerProvider(ledger)
    context = await createContext({
      ...provider,
      async mint(request, recipe, connection, world) {
        const lease = await context.store.read.lease(request.lease)
        seen.push(lease?.state ?? 'none', ...(await entryTypes()))
        expect(lease?.grants[0]?.recipe).toEqual(recipe)
        return provider.mint(request, recipe, connection, world)
      },
    })
    await issue(context, OPERATOR, ask)
    expect(seen).toEqual(['minting', 'lease.requested'])
  })

  it('issues nothing when the entry cannot be written: no entry, no lease, no credential', async () => {
    const { write } = context.store
    context.store.write = (work) =>
      write.call(context.store, (writer) =>
        work(
          new Proxy(writer, {
            get(target, key) {
              if (key === 'append') return () => Promise.reject(new Error('no entry'))
              const value = Reflect.get(target, key, target)
              return typeof value === 'function' ? value.bind(target) : value
            },
          }),
        ),
      ) as ReturnType<typeof work>
    await expect(issue(context, OPERATOR, ask)).rejects.toThrow('no entry')
    context.store.write = write
    expect(await context.store.read.leases({ live: false, limit: 10 })).toEqual([])
    expect(ledger.minted).toBe(0)
  })

  it('ends as failed, with nothing alive, when the provider refuses the mint', async () => {
    ledger.script.mint.push('failed')
    await expect(issue(context, OPERATOR, ask)).rejects.toMatchObject({ code: 'provider_failed' })
    const [failed] = await context.store.read.leases({ live: false, limit: 10 })
    expect(failed).toMatchObject({ state: 'failed', endReason: 'mint_failed' })
    expect(ledger.alive.size).toBe(0)
  })

  it('cleans up by name when the answer to a mint was lost', async () => {
    ledger.script.mint.push('lost')
    await expect(issue(context, OPERATOR, ask)).rejects.toMatchObject({
      code: 'provider_unavailable',
    })
    await settle()
    const [lease] = await context.store.read.leases({ live: false, limit: 10 })
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'mint_unknown' })
    expect(ledger).toMatchObject({ minted: 1, revoked: 1 })
  })

  it('gives each task at most so many live leases, counted in the same transaction', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger), { maxLive: 3 })
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => issue(context, OPERATOR, ask)),
    )
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused).toHaveLength(7)
    expect(refused[0]?.reason).toMatchObject({ code: 'quota_exceeded', details: { cap: 3 } })
    expect((await entryTypes()).filter((type) => type === 'lease.denied')).toHaveLength(7)
    expect(ledger.minted).toBe(3)
    const [first] = await context.store.read.leases({ live: true, limit: 1 })
    if (!first) throw new Error('no lease')
    await revoke(context, first.id, 'revoked_by_operator')
    await issue(context, OPERATOR, ask)
  })
})

describe('a lease inside a task', () => {
  it('cannot reach another environment, more operations, or a longer life than its task', async () => {
    const task = await start()
    const inside = { kind: 'lease', lease: task } as const
    await expect(issue(context, inside, { environment: 'qa' })).rejects.toMatchObject({
      code: 'denied',
      message: 'this task is for "staging", not for "qa"',
    })
    const smaller = {
      ...task,
      grants: task.grants.map((grant) => ({ ...grant, operations: ['look'] })),
    }
    await expect(issue(context, { kind: 'lease', lease: smaller }, ask)).rejects.toMatchObject({
      code: 'denied',
      message: 'this task may not put on "main"',
    })
    context.clock.now += 600_000
    const { lease } = await issue(context, inside, ask)
    expect(lease.expiresAt).toBe(task.expiresAt)
    expect(lease.parent).toBe(task.id)
  })

  it('ends with its task', async () => {
    const task = await start()
    const { lease: child } = await issue(context, { kind: 'lease', lease: task }, ask)
    await revoke(context, task.id, 'task_ended')
    expect(await now(child)).toMatchObject({ state: 'revoked', endReason: 'parent_ended' })
    expect(ledger.alive.size).toBe(0)
  })

  it('is not issued once its task has ended', async () => {
    const task = await start()
    await revoke(context, task.id, 'task_ended')
    await expect(issue(context, { kind: 'lease', lease: task }, ask)).rejects.toMatchObject({
      code: 'lease_ended',
    })
    expect(ledger.alive.size).toBe(0)
  })
})

describe('ending', () => {
  it('revokes what nobody acknowledged within 20 seconds', async () => {
    const { lease } = await issue(context, OPERATOR, ask)
    context.clock.now += TIMING.ackMs - 1
    await settle()
    expect((await now(lease)).state).toBe('active')
    context.clock.now += 1
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'revoked', endReason: 'not_acknowledged' })
  })

  it('revokes at the end of its time, to the millisecond of the stored deadline', async () => {
    const lease = await start()
    context.clock.now = lease.expiresAt - 1
    await settle()
    expect((await now(lease)).state).toBe('active')
    context.clock.now = lease.expiresAt
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'revoked', endReason: 'ttl' })
  })

  it('keeps trying while the provider is down, calls it stuck after ten minutes, and ends it when it returns', async () => {
    const lease = await start()
    ledger.down = 'unavailable'
    await revoke(context, lease.id, 'task_ended')
    expect(await now(lease)).toMatchObject({
      state: 'revoking',
      grants: [{ attempts: 1, lastError: 'the ledger is down' }],
    })
    for (let minute = 0; minute < 12; minute++) {
      context.clock.now += 60_000
      await settle()
    }
    const stuck = await now(lease)
    expect(stuck).toMatchObject({
      state: 'stuck',
      grants: [{ state: 'stuck', possiblyLiveUntil: lease.expiresAt }],
    })
    const attempts = stuck.grants[0]?.attempts ?? 0
    expect(attempts).toBeGreaterThan(5)
    ledger.down = null
    context.clock.now += 900_000
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'revoked' })
    expect(ledger.alive.size).toBe(0)
    const types = await entryTypes(lease)
    expect(types.filter((type) => type === 'lease.stuck')).toHaveLength(1)
    expect(types.filter((type) => type === 'lease.retrying')).toHaveLength(1)
  })

  it('still tries long after the credential would have expired: a role outlives its VALID UNTIL', async () => {
    const lease = await start()
    ledger.down = 'failed'
    await revoke(context, lease.id, 'task_ended')
    context.clock.now += 40 * 86_400_000
    await settle()
    expect((await now(lease)).state).toBe('stuck')
    ledger.down = null
    context.clock.now += 900_000
    await settle()
    expect((await now(lease)).state).toBe('revoked')
  })

  it('ends access at the provider even when the end cannot be recorded, and records it later', async () => {
    const lease = await start()
    const { write } = context.store
    context.store.write = () =>
      Promise.reject(new BrokerError('storage_full', 'no room', { hint: 'make some' }))
    await expect(revoke(context, lease.id, 'task_ended')).rejects.toMatchObject({
      code: 'storage_full',
    })
    expect(ledger.alive.size).toBe(0)
    context.store.write = write
    context.errors.length = 0
    await revoke(context, lease.id, 'task_ended')
    expect((await now(lease)).state).toBe('revoked')
  })

  it('shares one run between callers who end the same lease at once', async () => {
    const lease = await start()
    const ends = await Promise.all(
      Array.from({ length: 5 }, () => revoke(context, lease.id, 'revoked_by_operator')),
    )
    expect(new Set(ends.map((end) => end.state))).toEqual(new Set(['revoked']))
    expect((await entryTypes(lease)).filter((type) => type === 'lease.revoked')).toHaveLength(1)
    expect((await revoke(context, lease.id, 'ttl')).endReason).toBe('revoked_by_operator')
  })

  it('never calls a credential revoked that only dies by itself', async () => {
    await context.dispose()
    const until = Date.parse('2026-01-02T04:00:00Z')
    context = await createContext(
      ledgerProvider(ledger, {
        capability: 'expiry-only',
        revoke: async () => ({ outcome: 'expires', until }),
      }),
    )
    const lease = await start()
    await revoke(context, lease.id, 'task_ended')
    expect(await now(lease)).toMatchObject({
      state: 'revoking',
      endedAt: null,
      grants: [{ possiblyLiveUntil: until }],
    })
    context.clock.now = until
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'expired' })
  })

  it('does not believe "not found" while an interrupted mint may still arrive', async () => {
    await context.dispose()
    context = await createContext(ledgerProvider(ledger, { consistencyMs: 30_000 }))
    ledger.script.mint.push('unavailable')
    await expect(issue(context, OPERATOR, ask)).rejects.toMatchObject({
      code: 'provider_unavailable',
    })
    await settle()
    const [lease] = await context.store.read.leases({ live: false, limit: 1 })
    if (!lease) throw new Error('no lease')
    expect(lease.state).toBe('revoking')
    // The mint arrives after all.
    ledger.alive.set(String(lease.grants[0]?.recipe['name']), { lease: lease.id, notAfter: 0 })
    context.clock.now += 31_000
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'revoked' })
    expect(ledger.alive.size).toBe(0)
  })
})

describe('after a crash', () => {
  it('cleans up an interrupted mint and never mints it again', async () => {
    const provider = ledgerProvider(ledger)
    let crash: ((error: Error) => void) | undefined
    await context.dispose()
    context = await createContext({
      ...provider,
      async mint(request, recipe, connection, world) {
        await provider.mint(request, recipe, connection, world)
        return new Promise((_, reject) => {
          crash = reject
        })
      },
    })
    const lost = issue(context, OPERATOR, ask)
    lost.catch(() => {})
    while (!crash) await new Promise((resolve) => setImmediate(resolve))
    expect(await recover(context)).toBe(1)
    await settle()
    const [lease] = await context.store.read.leases({ live: false, limit: 1 })
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'mint_unknown' })
    expect(ledger).toMatchObject({ minted: 1, revoked: 1 })
    crash(new Error('the process died here'))
    await expect(lost).rejects.toThrow()
  })

  it('discards a mint that comes back after its lease was ended', async () => {
    const provider = ledgerProvider(ledger)
    await context.dispose()
    context = await createContext({
      ...provider,
      async mint(request, recipe, connection, world) {
        await revoke(context, request.lease, 'mint_unknown')
        return provider.mint(request, recipe, connection, world)
      },
    })
    await expect(issue(context, OPERATOR, ask)).rejects.toMatchObject({ code: 'lease_ended' })
    expect(ledger).toMatchObject({ minted: 1, revoked: 1 })
    expect(ledger.alive.size).toBe(0)
  })

  it('ends the leases whose session did not come back to the new run', async () => {
    const lease = await start()
    const next: TestContext = { ...context, bootId: 'boot-2', revoking: new Map() }
    expect(await endLostSessions(next)).toBe(1)
    expect(await now(lease)).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })

  it('keeps leases without a session over a restart', async () => {
    const { lease } = await issue(context, OPERATOR, ask)
    await acknowledge(context, lease.id, { session: false })
    expect(await endLostSessions({ ...context, bootId: 'boot-2' })).toBe(0)
    expect((await now(lease)).state).toBe('active')
  })
})

async function reconcileWith(target: TestContext): Promise<number> {
  await target.store.write((writer) =>
    writer.saveConnection({
      name: 'main',
      provider: 'ledger',
      settings: {},
      vaultKey: null,
      origin: null,
      createdAt: 0,
      updatedAt: 0,
    }),
  )
  return reconcile(target)
}

describe('reconciling', () => {
  it('removes what carries our install id and has no live lease, and nothing else', async () => {
    const lease = await start()
    const orphan = 'broker_test0000_lse_00000000000000000000000000_main'
    ledger.alive.set(orphan, { lease: 'lse_00000000000000000000000000', notAfter: 0 })
    ledger.alive.set('broker_other000_lse_x', { lease: 'lse_x', notAfter: 0 })
    expect(await reconcileWith(context)).toBe(1)
    expect([...ledger.alive.keys()].sort()).toEqual([
      'broker_other000_lse_x',
      `broker_test0000_${lease.id}_main`,
    ])
    expect(await entryTypes()).toContain('orphan.revoked')
  })
})

describe('clocks', () => {
  it('gives no lease more time when the clock is set back an hour', async () => {
    const lease = await start()
    context.clock.now -= 3_600_000
    await afterDrift(context, -3_600_000)
    context.clock.now += 1_800_000
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'revoked', endReason: 'ttl' })
  })

  it('gives no lease more time when the clock was set back while no daemon ran', async () => {
    const lease = await start()
    context.clock.now -= 3_600_000
    await catchUpWithClock(context)
    expect((await now(lease)).expiresAt).toBe(lease.expiresAt - 3_600_000)
    context.clock.now += 60_000
    await catchUpWithClock(context) // later than the newest entry again: nothing to do
    expect((await now(lease)).expiresAt).toBe(lease.expiresAt - 3_600_000)
  })

  it('sweeps at once after eight hours asleep', async () => {
    const lease = await start()
    const drift = new Drift(context.clock.now, 0)
    context.clock.now += 8 * 3_600_000
    expect(drift.look(context.clock.now, 1000)).toBe(8 * 3_600_000 - 1000)
    await afterDrift(context, 8 * 3_600_000)
    await settle()
    expect(await now(lease)).toMatchObject({ state: 'revoked', endReason: 'ttl' })
  })

  it('holds a deadline more than 25 days away', async () => {
    const lease = await start()
    const far = context.clock.now + 40 * 86_400_000
    await context.store.write((writer) => writer.saveLease({ ...lease, expiresAt: far }, far))
    await settle()
    expect((await now(lease)).state).toBe('active')
    context.clock.now = far
    await settle()
    expect((await now(lease)).state).toBe('revoked')
  })
})
