import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { issue } from '../../src/broker/issue.ts'
import { sweep } from '../../src/broker/sweep.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

/** As many are revoked at once. */
const PLACES = 256

let ledger: Ledger
let context: TestContext
let held: PromiseWithResolvers<void>
beforeEach(async () => {
  ledger = createLedger()
  held = Promise.withResolvers()
  const working = ledgerProvider(ledger)
  const provider = ledgerProvider(ledger, {
    revoke: async (...call) => {
      await held.promise
      return working.revoke(...call)
    },
  })
  context = await createContext(provider)
  await Promise.all(
    Array.from({ length: 2 * PLACES }, () => issue(context, OPERATOR, { environment: 'staging' })),
  )
  context.clock.now += 60_000 // nobody acknowledged them
})
afterEach(async () => {
  held.resolve()
  await Promise.all(context.revoking.values())
  await context.dispose()
})

describe('one sweep over more than there are places for', () => {
  it('starts no more than there are places, and does not wait for revocations that hang', async () => {
    expect(await sweep(context)).toBe(PLACES)
    expect(context.revoking.size).toBe(PLACES)
    expect(ledger.alive.size).toBe(2 * PLACES)
  })

  it('goes on as places get free instead of leaving the rest to later ticks', async () => {
    held.resolve()
    expect(await sweep(context)).toBeGreaterThan(PLACES)
  })
})
