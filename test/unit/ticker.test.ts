import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { issue } from '../../src/broker/issue.ts'
import { Ticker } from '../../src/daemon/ticker.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

let ledger: Ledger
let context: TestContext
let monotonic: number
let ticker: Ticker

beforeEach(async () => {
  ledger = createLedger()
  context = await createContext(ledgerProvider(ledger))
  monotonic = 0
  ticker = new Ticker(
    context,
    () => monotonic,
    async () => {},
  )
})
afterEach(async () => {
  await ticker.stop()
  await context.dispose()
})

async function task() {
  const { lease } = await issue(context, OPERATOR, { environment: 'staging' })
  return acknowledge(context, lease.id, { session: false })
}

/** Time as the wall and as the machine's own clock saw it pass. */
async function pass(wallMs: number, monotonicMs: number): Promise<void> {
  context.clock.now += wallMs
  monotonic += monotonicMs
  await ticker.tick()
  await Promise.allSettled([...context.revoking.values()])
}

const stateOf = async (id: string) => (await context.store.read.lease(id))?.state
const jumps = async () =>
  (await context.store.read.entries({ after: 0, limit: 100 })).filter(
    (entry) => entry.type === 'clock.jumped',
  )

describe('a tick', () => {
  it('ends at once, after eight hours asleep, what should have ended meanwhile', async () => {
    const lease = await task()
    await pass(1000, 1000)
    expect(await stateOf(lease.id)).toBe('active')
    await pass(8 * 3_600_000, 900) // the monotonic clock stands still while a laptop sleeps
    expect(await stateOf(lease.id)).toBe('revoked')
    expect(await jumps()).toHaveLength(1)
    expect(ledger.alive.size).toBe(0)
  })

  it('gives nothing away when the clock is set back an hour, and still ends in time', async () => {
    const lease = await task()
    await pass(-3_600_000 + 1000, 1000)
    expect(await stateOf(lease.id)).toBe('active')
    await pass(1_799_000, 1_799_000)
    expect(await stateOf(lease.id)).toBe('revoked')
  })

  it('ends early, not late, when the clock is set forward an hour', async () => {
    const lease = await task()
    await pass(3_600_000 + 1000, 1000)
    expect(await stateOf(lease.id)).toBe('revoked')
  })

  it('takes no ordinary delay for a jump of the clock', async () => {
    await task()
    await pass(1000, 1000)
    await pass(1900, 500)
    await pass(60_000, 60_000)
    expect(await jumps()).toHaveLength(0)
  })

  it('still knows a used identity token after a clock that was hours ahead for a while', async () => {
    const keepUntil = context.clock.now + 600_000
    const used = { token: 't', lease: (await task()).id, key: null, request: null, keepUntil }
    await context.store.write((writer) => writer.consumeToken(used))
    await pass(5 * 3_600_000, 1000)
    await pass(-5 * 3_600_000, 1000)
    // Behind what the ticks began beside themselves.
    expect(await context.store.write((writer) => writer.consumeToken(used))).toBe(false)
    await pass(26 * 3_600_000, 26 * 3_600_000)
    expect(await context.store.write((writer) => writer.consumeToken(used))).toBe(true)
  })

  it('survives a tick that fails and makes up for it with the next', async () => {
    const lease = await task()
    const { due } = context.store.read
    context.store.read.due = () => Promise.reject(new Error('not now'))
    await pass(1_800_000, 1_800_000)
    expect(await stateOf(lease.id)).toBe('active')
    context.store.read.due = due.bind(context.store.read)
    await pass(1000, 1000)
    expect(await stateOf(lease.id)).toBe('revoked')
  })
})
