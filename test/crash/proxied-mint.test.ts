import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isAlive, until } from '../fixtures/broker.ts'
import { ProxiedProduct } from '../fixtures/proxied.ts'

let broker: ProxiedProduct
beforeAll(async () => {
  broker = await ProxiedProduct.start()
})
afterAll(() => broker?.dispose())
afterEach(() => broker.cloud.fail('off'))

/** Why each of the interrupted leases ended. */
const ends = new Map<string, string>()
const newest = async () => (await broker.facts())[0]
const noneLeft = () =>
  until('no token of ours is left', () => broker.tokensAtCloud().length === 0, 60_000)

describe('kill -9 of the daemon while a project token is made', () => {
  const rows = [
    { fault: 'C0', made: 0, end: undefined },
    { fault: 'C2', made: 0, end: 'mint_unknown' },
    { fault: 'C3', made: 0, end: 'mint_unknown' },
    // The forge's phantom is made here; how far the cloud's token is then is a race.
    { fault: 'C4', made: null, end: 'mint_unknown' },
    { fault: 'C4:2', made: 1, end: 'mint_unknown' },
    { fault: 'C5', made: 1, end: 'mint_unknown' },
    { fault: 'C6', made: 1, end: 'proxy_lost' },
  ]
  it.each(rows)('$fault: nothing runs, and no token of ours is left', async (row) => {
    const { fault, made, end } = row
    const before = broker.made.length
    await broker.must(['daemon', 'stop'])
    // The daemon that this exec starts is the one that dies.
    const env = { BROKER_FAULT: fault }
    const { status, out, err } = await broker.exec(['echo', 'RAN'], [], { env })
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('broker: the daemon went away while it made the lease\nhint: ')
    await until('the daemon is dead', () => broker.daemons().length === 0)
    // Without this the row would prove nothing: there was something to clean up.
    if (made !== null) expect(broker.tokensAtCloud()).toHaveLength(made)
    const leases = await broker.facts()
    await noneLeft()
    expect(leases).toHaveLength(ends.size + (end === undefined ? 0 : 1))
    if (end !== undefined) ends.set(leases[0]?.id ?? '', end)
    if (made !== null) expect(broker.made).toHaveLength(before + made)
  })
})

describe('a cloud that made the token and did not live to say so', () => {
  it('exec is refused, and the token is found again by its name', async () => {
    await broker.must(['daemon', 'start'])
    const made = broker.made.length
    broker.cloud.fail('lost')
    const { status, out, err } = await broker.exec(['echo', 'RAN'])
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('broker: railway does not answer for "railway"\n')
    expect(broker.made).toHaveLength(made + 1)
    expect(broker.tokensAtCloud()).toHaveLength(1)
    broker.cloud.fail('off')
    await noneLeft()
    expect(await newest()).toMatchObject({ endReason: 'mint_unknown' })
  })

  it('also when the daemon dies before it could try again', async () => {
    broker.cloud.fail('lost')
    expect((await broker.exec(['true'])).status).toBe(125)
    await broker.kill(broker.daemon())
    expect(broker.tokensAtCloud()).toHaveLength(1)
    broker.cloud.fail('off')
    expect(await newest()).toMatchObject({ endReason: 'mint_unknown' })
  })

  it('a token of ours that no lease knows is taken away; those of others stay', async () => {
    const install = /^broker-(\w+)-/.exec(broker.made.at(-1)?.name ?? '')?.[1]
    const { shop, staging } = broker.cloud.ids
    const rows = broker.cloud.world.projectTokens
    const [like] = rows
    if (!like) throw new Error('there is no token')
    const stranger = { ...like, projectId: shop, environmentId: staging }
    rows.push({
      ...stranger,
      id: 'a',
      token: 'x'.repeat(36),
      name: `broker-${install}-lse_${'0'.repeat(26)}-railway`,
    })
    rows.push({
      ...stranger,
      id: 'b',
      token: 'y'.repeat(36),
      name: `broker-other-lse_${'0'.repeat(26)}-railway`,
    })
    await broker.must(['daemon', 'stop'])
    await broker.must(['daemon', 'start'])
    await until('ours is gone', () => !rows.some(({ id }) => id === 'a'))
    expect(rows.some(({ id }) => id === 'b')).toBe(true)
    rows.splice(
      rows.findIndex(({ id }) => id === 'b'),
      1,
    )
  })
})

describe('afterwards', () => {
  it('each of those leases ends, for what it was', async () => {
    // What the cloud may still have been doing is waited for, for twenty seconds from the call.
    await broker.settled()
    expect(ends.size).toBe(6)
    for (const [lease, endReason] of ends)
      expect(await broker.lease(lease)).toMatchObject({ endReason })
  })

  it('a daemon that dies while it revokes: the next one ends it and tells exec', async () => {
    for (const fault of ['C12', 'C13']) {
      const armed = await broker.armDaemon(fault)
      const { status, err } = await broker.exec(['true'])
      expect(isAlive(armed)).toBe(false)
      expect([fault, status]).toEqual([fault, 0])
      expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
      await broker.recovered()
      expect(await newest()).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
    }
  })
})

it('nothing of all this has shown a secret', async () => {
  await broker.recovered()
  await broker.must(['audit', 'verify'])
  expect(await broker.sightings()).toEqual([])
  expect(broker.canary.size).toBeGreaterThan(8)
})
