import { afterEach, describe, expect, it } from 'vitest'
import type { Caller, Context } from '../../src/broker/context.ts'
import { issue, preview } from '../../src/broker/issue.ts'
import { hostInside, type PlaceOrder, refuseUnreachable } from '../../src/broker/place.ts'
import type { Lease } from '../../src/core/lease.ts'
import type { Isolation } from '../../src/core/template.ts'
import type { MintRequest, Provider } from '../../src/providers/provider.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'

const ask = { environment: 'staging' }
const PLACE = { folder: '/f', socket: '/f/own/task.sock', proxySocket: null, services: [] }

let context: TestContext
let ledger: Ledger
let orders: PlaceOrder[]
let confined: boolean[]

async function start(
  template: Parameters<typeof createContext>[1] = {},
  provider: Partial<Provider> = {},
  openPlace?: Context['openPlace'],
): Promise<void> {
  ledger = createLedger()
  orders = []
  confined = []
  context = await createContext(ledgerProvider(ledger, provider), template, {
    openPlace: async (order) => {
      orders.push(order)
      return openPlace ? openPlace(order) : PLACE
    },
    openProxy: async (order) => {
      confined.push(order.confined)
      return { url: 'http://127.0.0.1:1', caFile: '/f/ca.pem', bundleFile: '/f/bundle.pem' }
    },
  })
}

const issued = async (isolation: Isolation) =>
  (await issue(context, OPERATOR, { ...ask, isolation })).lease
const within = (lease: Lease): Caller => ({ kind: 'lease', lease })

describe('what a client claims of its walls', () => {
  afterEach(() => context.dispose())

  const refusals: readonly { least: Isolation; claimed: Isolation }[] = [
    { least: 'mask', claimed: 'scrub' },
    { least: 'confine', claimed: 'scrub' },
    { least: 'confine', claimed: 'mask' },
  ]
  it.each(refusals)(
    'is not enough at $claimed for a template that asks for $least',
    async (row) => {
      await start({ isolation: row.least })
      await expect(
        issue(context, OPERATOR, { ...ask, isolation: row.claimed }),
      ).rejects.toMatchObject({
        code: 'isolation_unavailable',
        message: `template "dev" asks for isolation "${row.least}", the task would run at "${row.claimed}"`,
        details: { needs: row.least, reached: row.claimed },
      })
      expect(ledger.minted).toBe(0)
    },
  )

  it('is worth nothing when a task claims it that runs without', async () => {
    await start({ isolation: 'mask' })
    const parent = { ...(await issued('confine')), isolation: 'scrub' as const }
    await expect(
      issue(context, within(parent), { ...ask, isolation: 'confine' }),
    ).rejects.toMatchObject({
      code: 'isolation_unavailable',
      details: { needs: 'mask', reached: 'scrub' },
    })
  })

  it('is recorded as the task’s own when a task without walls builds some, and they are made ready', async () => {
    await start()
    const parent = await issued('scrub')
    const { lease, place } = await issue(context, within(parent), { ...ask, isolation: 'confine' })
    expect(lease.isolation).toBe('scrub')
    expect(place).toEqual(PLACE)
    expect(confined).toEqual([true])
  })

  it('is the outer task’s for what is asked for behind walls, which has no place of its own', async () => {
    await start({ isolation: 'mask' })
    const parent = await issued('mask')
    const { lease, place, proxy } = await issue(context, within(parent), ask)
    expect(lease.isolation).toBe('mask')
    expect([place, proxy]).toEqual([null, null])
    expect(orders.map((order) => order.lease)).toEqual([parent.id])
  })

  it('does not get a task behind walls a proxy that it could not reach', async () => {
    await start({ egress: ['example.com'] })
    const parent = await issued('mask')
    const before = ledger.minted
    await expect(issue(context, within(parent), ask)).rejects.toMatchObject({
      code: 'unsupported',
      message:
        'a task kept apart from its machine cannot ask for a lease that needs a proxy of its own',
    })
    expect(ledger.minted).toBe(before)
  })

  it.each(['mask', 'confine'] as const)(
    'lets a protected environment be issued at %s',
    async (isolation) => {
      await start({
        isolation: 'mask',
        egress: ['example.com'],
        grants: { main: { allow: ['read'], approve: [], deny: [] } },
      })
      const { lease } = await issue(context, OPERATOR, { environment: 'production', isolation })
      expect(lease).toMatchObject({ state: 'active', isolation })
    },
  )
})

describe('the place of a task', () => {
  afterEach(() => context.dispose())

  it('ends the lease when it cannot be opened, and leaves nothing minted', async () => {
    await start({}, {}, async () => {
      throw new Error('no room')
    })
    await expect(issue(context, OPERATOR, { ...ask, isolation: 'mask' })).rejects.toThrow('no room')
    expect(ledger.alive.size).toBe(0)
    const [lease] = await context.store.read.leases({ live: false, limit: 1 })
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'mint_failed' })
  })

  it('does not lead to a unix socket of the machine: such a grant is refused', async () => {
    await start({}, { endpoints: () => [{ host: '/run/postgresql', port: 5432 }] })
    const grant = (await preview(context, OPERATOR, ask)).grants[0]
    if (!grant) throw new Error('there is no grant')
    for (const walls of ['mask', 'confine'] as const) {
      expect(() => refuseUnreachable(grant, null, walls)).toThrow(
        expect.objectContaining({
          code: 'isolation_unavailable',
          message: `grant "main" leads to a socket of this machine, which a task at "${walls}" does not have`,
          hint: 'store "main" with a host and port, or use --isolation scrub',
        }),
      )
    }
    refuseUnreachable(grant, null, 'scrub')
  })

  it('is not opened for one at scrub, and at confine comes with a proxy whatever is granted', async () => {
    await start()
    expect((await preview(context, OPERATOR, { ...ask, isolation: 'mask' })).proxied).toBe(false)
    expect((await issued('scrub')).proxied).toBe(false)
    expect(orders).toEqual([])
    expect((await issued('mask')).proxied).toBe(false)
    expect((await issued('confine')).proxied).toBe(true)
    expect(orders.map(({ walls, proxied }) => [walls, proxied])).toEqual([
      ['mask', false],
      ['confine', true],
    ])
    expect(confined).toEqual([true])
  })

  it('leads to the services of its grants at confine alone, addresses by a name', async () => {
    const at = { host: '10.0.0.5', port: 5432 }
    const told: (string | undefined)[] = []
    const real = ledgerProvider(createLedger())
    await start(
      {},
      {
        endpoints: () => [at],
        mint: (request: MintRequest, ...rest) => {
          told.push(request.hostInside?.(at.host))
          return real.mint(request, ...rest)
        },
      },
    )
    await issued('mask')
    await issued('confine')
    expect(told).toEqual(['10.0.0.5', 'ip-10-0-0-5.broker.internal'])
    expect(orders.map(({ services }) => services)).toEqual([
      [],
      [{ name: { host: 'ip-10-0-0-5.broker.internal', port: 5432 }, at }],
    ])
  })
})

describe('what a confined task calls a host', () => {
  it.each(['localhost', '127.0.0.1', '127.1.2.3', '::1', 'db.example'])(
    'leaves %s its name',
    (host) => {
      expect(hostInside(host, 'confine')).toBe(host)
    },
  )

  it.each([
    ['192.168.1.2', 'ip-192-168-1-2.broker.internal'],
    ['fd00::12', 'ip-fd00--12.broker.internal'],
    ['fe80::1%eth0', 'ip-fe80--1-e--0.broker.internal'],
  ])('calls %s by a name that a client can look up', (host, name) => {
    expect(hostInside(host, 'confine')).toBe(name)
    expect(hostInside(host, 'mask')).toBe(host)
  })
})
