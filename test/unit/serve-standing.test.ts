import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { issue } from '../../src/broker/issue.ts'
import { revoke } from '../../src/broker/revoke.ts'
import type { Lease } from '../../src/core/lease.ts'
import { Metrics } from '../../src/daemon/serve/metrics.ts'
import { Standing } from '../../src/daemon/serve/standing.ts'
import { BrokerError } from '../../src/errors.ts'
import type { Store } from '../../src/store/store.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

let ledger: Ledger
let metrics: Metrics
let context: TestContext
let ticks: number
const monotonic = () => ticks

beforeEach(async () => {
  ticks = 0
  ledger = createLedger()
  const provider = ledgerProvider(ledger)
  context = await createContext(provider, {}, { onEnding: (lease) => metrics.ending(lease) })
  metrics = metricsOf(new Standing(context, monotonic))
})
afterEach(async () => {
  metrics.close()
  await context.dispose()
})

const metricsOf = (standing: Standing) =>
  new Metrics({ context, standing, monotonic, relayed: () => 0 })
const unready = () => new Standing(context, monotonic).unready()
const withStore = (changed: Partial<Store>): TestContext => ({
  ...context,
  store: new Proxy(context.store, {
    get: (store, name) => {
      const own = changed[name as keyof Store] ?? store[name as keyof Store]
      return typeof own === 'function' ? own.bind(store) : own
    },
  }),
})

async function start(): Promise<Lease> {
  const issued = await issue(context, OPERATOR, { environment: 'staging' })
  return acknowledge(context, issued.lease.id, { session: true })
}

describe('a server is not ready', () => {
  it('when the audit log cannot be written, and tries it for real', async () => {
    let tries = 0
    const write = () => {
      tries++
      return Promise.reject(new BrokerError('storage_full', 'the disk is full', { hint: '' }))
    }
    const standing = new Standing(withStore({ write }), monotonic)
    expect(await standing.unready()).toEqual(['audit_not_writable'])
    expect(tries).toBe(1)
    expect(context.errors).toHaveLength(1)
  })

  it('when the room that ends need is used up', async () => {
    const standing = new Standing(withStore({ hasReserve: () => false }), monotonic)
    expect(await standing.unready()).toEqual(['no_reserve'])
  })

  it('a minute after a revocation failed for the first time, and not before', async () => {
    const lease = await start()
    expect(await unready()).toEqual([])
    ledger.down = 'unavailable'
    await revoke(context, lease.id, 'task_ended')
    context.clock.now += 59_999
    expect(await unready()).toEqual([])
    context.clock.now += 1
    expect(await unready()).toEqual(['revocations_overdue'])
    ledger.down = null
    await revoke(context, lease.id, 'task_ended')
    expect(await unready()).toEqual([])
  })

  it('a minute after the time of a lease that nobody ends', async () => {
    const lease = await start()
    context.clock.now = lease.expiresAt + 59_999
    expect(await unready()).toEqual([])
    context.clock.now += 1
    expect(await unready()).toEqual(['revocations_overdue'])
  })

  it('a minute after the acknowledgement was due that nobody ends for', async () => {
    const { lease } = await issue(context, OPERATOR, { environment: 'staging' })
    context.clock.now = lease.ackDeadline + 60_000
    expect(await unready()).toEqual(['revocations_overdue'])
  })
})

describe('a look', () => {
  it('is taken once in five seconds, however often it is asked for', async () => {
    let tries = 0
    const write: Store['write'] = (work) => {
      tries++
      return context.store.write(work)
    }
    const standing = new Standing(withStore({ write }), monotonic)
    for (ticks = 0; ticks < 5000; ticks += 100) await standing.unready()
    expect(tries).toBe(1)
    ticks = 5000
    await Promise.all([standing.unready(), standing.unready()])
    expect(tries).toBe(2)
  })
})

describe('the metrics', () => {
  const value = async (line: string) => {
    const found = (await metrics.text()).split('\n').find((one) => one.startsWith(`${line} `))
    return found === undefined ? undefined : Number(found.slice(line.length + 1))
  }

  it('count live leases by state, environment and provider, and nothing that ended', async () => {
    const series = 'broker_leases{state="active",environment="staging",provider="ledger"}'
    const lease = await start()
    expect(await value(series)).toBe(1)
    await revoke(context, lease.id, 'task_ended')
    expect(await value(series)).toBeUndefined()
  })

  it('measure an end from its decision to its confirmation, once', async () => {
    const lease = await start()
    await revoke(context, lease.id, 'task_ended')
    await revoke(context, lease.id, 'task_ended')
    expect(await value('broker_revocation_seconds_count')).toBe(1)
  })

  it('measure an end that a later try confirmed', async () => {
    const lease = await start()
    ledger.down = 'unavailable'
    await revoke(context, lease.id, 'task_ended')
    expect(await value('broker_revocation_seconds_count')).toBe(0)
    ledger.down = null
    ticks = 90_000
    await revoke(context, lease.id, 'task_ended')
    expect(await value('broker_revocation_seconds_count')).toBe(1)
    expect(await value('broker_revocation_seconds_sum')).toBe(90)
  })

  it('tell what is overdue', async () => {
    const lease = await start()
    ledger.down = 'failed'
    await revoke(context, lease.id, 'task_ended')
    context.clock.now += 120_000
    expect(await value('broker_overdue_leases')).toBe(1)
    expect(await value('broker_oldest_overdue_seconds')).toBe(120)
  })

  it('have no label that a caller chose', async () => {
    const issued = await issue(context, OPERATOR, { environment: 'staging', reason: 'canary' })
    metrics.answered(null, 404)
    metrics.exchanged('subject_refused', 'issuer_unknown')
    const text = await metrics.text()
    for (const secret of ['canary', issued.lease.id, 'alice']) expect(text).not.toContain(secret)
    expect(text).toContain('broker_http_requests_total{route="none",status="404"} 1')
    expect(text).toContain(
      'broker_exchanges_total{outcome="subject_refused",reason="issuer_unknown"} 1',
    )
  })
})
