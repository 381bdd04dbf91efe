import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { verifyAudit } from '../../src/broker/audit.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import { endLostSessions, recover, sweep } from '../../src/broker/sweep.ts'
import type { Lease } from '../../src/core/lease.ts'
import { ARROWS, hasEnded } from '../../src/core/transitions.ts'
import type { LeaseId } from '../../src/lib/ids.ts'
import { createLedger, type Ledger, ledgerProvider, type Step } from '../fakes/ledger-provider.ts'
import { createContext, KEYS, OPERATOR, type TestContext } from '../fixtures/context.ts'

/**
 * What must hold, told without any of the broker's code: a lease may be used from its
 * acknowledgement until the first of: its end was asked for, its time came, its session was lost.
 */
interface Expected {
  acknowledgedAt: number | null
  issuedAt: number
  expiresAt: number
  session: boolean
  over: boolean
}

interface Real {
  context: TestContext
  ledger: Ledger
  known: Map<LeaseId, Expected>
  boot: number
}

type Move =
  | { readonly do: 'issue'; readonly ttlMs: number; readonly mint: Step | null }
  | { readonly do: 'acknowledge'; readonly pick: number; readonly session: boolean }
  | { readonly do: 'revoke'; readonly pick: number }
  | { readonly do: 'provider'; readonly down: Step | null }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'tick' }
  | { readonly do: 'restart' }

const step = fc.constantFrom<Step | null>(null, null, null, 'unavailable', 'failed', 'lost')
const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('issue' as const),
      ttlMs: fc.integer({ min: 1000, max: 3_600_000 }),
      mint: step,
    }),
    fc.record({ do: fc.constant('acknowledge' as const), pick: fc.nat(20), session: fc.boolean() }),
    fc.record({ do: fc.constant('revoke' as const), pick: fc.nat(20) }),
    fc.record({
      do: fc.constant('provider' as const),
      down: fc.constantFrom<Step | null>(null, null, 'unavailable', 'failed'),
    }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 1_200_000 }) }),
    fc.constant({ do: 'tick' as const }),
    fc.constant({ do: 'restart' as const }),
  ),
  { minLength: 1, maxLength: 25 },
)

async function settle(real: Real): Promise<void> {
  for (let n = 0; n < 40; n++) {
    const started = await sweep(real.context)
    await Promise.allSettled([...real.context.revoking.values()])
    if (started === 0) return
  }
}

async function perform(real: Real, move: Move): Promise<void> {
  const { context, ledger, known } = real
  const picked = (pick: number) => [...known.keys()][pick % Math.max(1, known.size)]
  switch (move.do) {
    case 'issue': {
      if (move.mint) ledger.script.mint.push(move.mint)
      const result = await issue(context, OPERATOR, {
        environment: 'staging',
        ttlMs: move.ttlMs,
      }).catch(() => null)
      ledger.script.mint.length = 0
      if (!result) return
      const { id, issuedAt, expiresAt } = result.lease
      known.set(id, { acknowledgedAt: null, issuedAt, expiresAt, session: false, over: false })
      return
    }
    case 'acknowledge': {
      const id = picked(move.pick)
      const expected = id && known.get(id)
      if (!id || !expected) return
      const done = await acknowledge(context, id, { session: move.session }).then(
        () => true,
        () => false,
      )
      if (done && expected.acknowledgedAt === null) expected.acknowledgedAt = context.clock.now
      if (done && move.session) expected.session = true
      return
    }
    case 'revoke': {
      const id = picked(move.pick)
      const expected = id && known.get(id)
      if (!id || !expected) return
      expected.over = true
      await revoke(context, id, 'revoked_by_operator')
      return
    }
    case 'provider':
      ledger.down = move.down
      return
    case 'wait':
      context.clock.now += move.ms
      return
    case 'tick':
      await settle(real)
      return
    case 'restart': {
      real.boot++
      real.context = {
        ...context,
        bootId: `boot-${real.boot}`,
        revoking: new Map(),
        lanes: new Map(),
      }
      await recover(real.context)
      for (const expected of known.values()) if (expected.session) expected.over = true
      await endLostSessions(real.context)
      await settle(real)
    }
  }
}

function shouldBeOver(expected: Expected, now: number): boolean {
  const unacknowledged = expected.acknowledgedAt === null && now >= expected.issuedAt + 20_000
  return expected.over || unacknowledged || now >= expected.expiresAt
}

async function inspect(real: Real): Promise<void> {
  const { context, ledger, known } = real
  const leases = await context.store.read.leases({ live: false, limit: 1000 })
  const byId = new Map(leases.map((lease) => [lease.id as string, lease]))
  for (const { lease } of ledger.alive.values()) {
    const row = byId.get(lease)
    expect(row && !hasEnded(row.state), `${lease} lives on after its lease ended`).toBe(true)
  }
  for (const [id, expected] of known) {
    const row = byId.get(id)
    const alive = [...ledger.alive.values()].some((one) => one.lease === id)
    if (row?.state === 'active') expect(alive).toBe(true)
    if (expected.over) expect(row?.state).not.toBe('active')
  }
}

/** With a healthy provider and one tick, everything that should be over is, and is recorded. */
async function atRest(real: Real): Promise<void> {
  const { context, ledger, known } = real
  ledger.down = null
  await Promise.allSettled([...context.revoking.values()]) // each under the clock it began with
  context.clock.now += 1_000_000
  await settle(real)
  for (const [id, expected] of known) {
    const lease = (await context.store.read.lease(id)) as Lease
    expect(lease.state === 'active').toBe(!shouldBeOver(expected, context.clock.now))
  }
  const leases = await context.store.read.leases({ live: false, limit: 1000 })
  const active = leases
    .filter((lease) => lease.state === 'active')
    .map((lease) => lease.id as string)
  expect([...ledger.alive.values()].map((one) => one.lease).sort()).toEqual(active.sort())
  for (const lease of leases) await followsTheArrows(context, lease)
  const live = leases.filter((lease) => !hasEnded(lease.state)).length
  expect(await context.store.read.liveCount('principal:local:alice')).toBe(live)
  expect(await verifyAudit(context, KEYS, null)).toMatchObject({ ok: true })
}

/** The audit log alone tells a story that the state machine allows. */
async function followsTheArrows(context: TestContext, lease: Lease): Promise<void> {
  const entries = await context.store.read.entries({ after: 0, limit: 1000, lease: lease.id })
  const names: Readonly<Record<string, keyof typeof ARROWS>> = {
    'lease.requested': 'minting',
    'lease.active': 'active',
    'lease.revoking': 'revoking',
    'lease.stuck': 'stuck',
    'lease.revoked': 'revoked',
    'lease.failed': 'failed',
  }
  const story = entries.flatMap((entry) => names[entry.type] ?? [])
  expect(story[0]).toBe('minting')
  for (const [index, state] of story.slice(1).entries()) {
    expect(ARROWS[story[index] ?? 'revoked']).toContain(state)
  }
  expect(story.at(-1)).toBe(lease.state)
}

describe('the state machine', () => {
  it('agrees with a reference that knows none of its code, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (sequence) => {
        const ledger = createLedger()
        const context = await createContext(ledgerProvider(ledger))
        const real: Real = { context, ledger, known: new Map(), boot: 1 }
        try {
          for (const move of sequence) {
            await perform(real, move)
            await inspect(real)
          }
          await atRest(real)
        } finally {
          await Promise.allSettled([...real.context.revoking.values()])
          await context.dispose()
        }
      }),
      { numRuns: 120 },
    )
  })
})
