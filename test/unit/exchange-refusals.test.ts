import { describe, expect, it } from 'vitest'
import type { NewEntry } from '../../src/audit/entry.ts'
import { Refusals } from '../../src/broker/exchange/refusals.ts'
import { networkOf } from '../../src/lib/addresses.ts'
import type { Writer } from '../../src/store/store.ts'

class World {
  now = 1_000_000
  readonly written: NewEntry[] = []
  readonly errors: unknown[] = []
  full = false
  readonly refusals: Refusals

  constructor() {
    const writer = { append: async (entry: NewEntry) => void this.written.push(entry) }
    this.refusals = new Refusals({
      store: {
        write: async (work) => {
          if (this.full) throw new Error('no room')
          return work(writer as Writer)
        },
      },
      now: () => this.now,
      log: { info: () => {}, warn: () => {}, error: (_, error) => void this.errors.push(error) },
    })
  }

  async flood(source: string, times: number): Promise<void> {
    for (let n = 0; n < times; n++) await this.refusals.note(source, ENTRY)
  }
}

const ENTRY: NewEntry = { type: 'exchange.refused', lease: null, data: { reason: 'test' } }

describe('a flood of refusals', () => {
  it('of one address is written thirty times, then once a second, and counted', async () => {
    const world = new World()
    await world.flood('192.0.2.1', 10_000)
    expect(world.written).toHaveLength(30)
    world.now += 3_000
    await world.flood('192.0.2.1', 100)
    expect(world.written).toHaveLength(33)
    await world.refusals.flush()
    expect(world.written.at(-1)).toEqual({
      type: 'exchange.refused',
      lease: null,
      data: {
        reason: 'many',
        count: 10_067,
        networks: 1,
        most: [{ network: '192.0.2.1', count: 10_067 }],
      },
    })
  })

  it('is counted in one entry a minute, however long it lasts', async () => {
    const world = new World()
    for (let second = 0; second < 600; second++) {
      await world.flood('192.0.2.1', 20)
      await world.refusals.flush()
      world.now += 1_000
    }
    const counts = world.written.filter(({ data }) => data['reason'] === 'many')
    expect(counts).toHaveLength(10)
    expect(world.written.length).toBeLessThan(30 + 600 + 10 + 1)
  })

  it('keeps silent when nothing was left over', async () => {
    const world = new World()
    await world.flood('192.0.2.1', 10)
    await world.refusals.flush('now')
    expect(world.written).toHaveLength(10)
  })

  it('of one address does not silence another', async () => {
    const world = new World()
    await world.flood('192.0.2.1', 10_000)
    await world.flood('192.0.2.2', 5)
    expect(world.written).toHaveLength(35)
  })

  it('of very many addresses is bounded too, in entries and in memory', async () => {
    const world = new World()
    for (let n = 0; n < 20_000; n++) {
      await world.flood(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 1)
    }
    expect(world.written).toHaveLength(300)
    await world.refusals.flush()
    expect(world.written).toHaveLength(301)
    const { data } = world.written[300] as NewEntry
    expect(data).toMatchObject({ count: 19_700 })
    expect(data['networks']).toBeLessThanOrEqual(4096)
    expect(data['most']).toHaveLength(20)
  })

  it('of one IPv6 network counts as one', async () => {
    const world = new World()
    for (let n = 0; n < 100; n++) await world.flood(`2001:db8:1:2::${n.toString(16)}`, 1)
    expect(world.written).toHaveLength(30)
  })

  it('on a full disk refuses all the same', async () => {
    const world = new World()
    world.full = true
    await world.flood('192.0.2.1', 2)
    expect(world.errors).toHaveLength(2)
  })

  it('lasts no longer because a clock was set back', async () => {
    const world = new World()
    await world.flood('192.0.2.1', 100)
    world.now -= 3_600_000
    await world.flood('192.0.2.1', 100)
    expect(world.written).toHaveLength(30)
    world.now += 2_000
    await world.flood('192.0.2.1', 1)
    expect(world.written).toHaveLength(31)
  })
})

describe('the network of an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['lse_1', 'lse_1'],
    ['x'.repeat(5000), 'x'.repeat(100)],
  ])('%s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})
