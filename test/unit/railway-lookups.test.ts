import { describe, expect, it } from 'vitest'
import { Lookups } from '../../src/providers/railway/lookup/lookups.ts'
import { Misses } from '../../src/providers/railway/lookup/misses.ts'

/** Loads that end when the test says so, and the clock. */
function bench() {
  const lookups = new Lookups<number>()
  const loads: PromiseWithResolvers<number>[] = []
  const clock = { now: 1_000_000 }
  const read = (fresh: boolean, key = 'k') =>
    lookups.read(
      key,
      () => {
        const load = Promise.withResolvers<number>()
        loads.push(load)
        return load.promise
      },
      { now: () => clock.now, fresh },
    )
  const finish = (index: number, value = index) => loads[index]?.resolve(value)
  return { loads, clock, read, finish }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('what was looked up', () => {
  it('is never given to a fresh question that came after its loading began', async () => {
    const { loads, read, finish } = bench()
    const early = read(false)
    const late = read(true)
    await settled()
    expect(loads).toHaveLength(1)
    finish(0)
    expect(await early).toEqual({ value: 0, fresh: true })
    await settled()
    expect(loads).toHaveLength(2)
    finish(1)
    expect(await late).toEqual({ value: 1, fresh: true })
    // Nor is what is remembered.
    const again = read(true)
    await settled()
    finish(2)
    expect(await again).toEqual({ value: 2, fresh: true })
  })

  it('is not remembered where the loading failed', async () => {
    const { loads, read, finish } = bench()
    const [one, fresh] = [read(false), read(true)]
    loads[0]?.reject(new Error('down'))
    await expect(one).rejects.toThrow('down')
    await settled()
    finish(1)
    expect((await fresh).value).toBe(1)
    expect(loads).toHaveLength(2)
  })

  it('is used for a minute, and not after the clock was set back', async () => {
    const { loads, clock, read, finish } = bench()
    const first = read(false)
    finish(0)
    await first
    clock.now += 59_999
    expect(await read(false)).toEqual({ value: 0, fresh: false })
    clock.now += 1
    const second = read(false)
    finish(1)
    expect(await second).toEqual({ value: 1, fresh: true })
    clock.now -= 1
    const third = read(false)
    await settled()
    expect(loads).toHaveLength(3)
    finish(2)
    expect((await third).value).toBe(2)
  })

  it('is loaded once for all who ask at once, and once more for all who need it fresh', async () => {
    const { loads, read, finish } = bench()
    const waiting = [read(false), read(false), read(true), read(true), read(false)]
    await settled()
    expect(loads).toHaveLength(1)
    finish(0)
    await settled()
    expect(loads).toHaveLength(2)
    finish(1)
    const readings = await Promise.all(waiting)
    expect(readings.map(({ value }) => value)).toEqual([0, 0, 1, 1, 0])
    // Joined after its loading began: not as new as the question.
    expect(readings.map(({ fresh }) => fresh)).toEqual([true, false, true, true, false])
  })

  it('is forgotten, the oldest first, when there is too much of it', async () => {
    const { loads, read, finish } = bench()
    for (let index = 0; index < 80; index++) {
      const reading = read(false, `key ${index}`)
      finish(index)
      await reading
    }
    expect(await read(false, 'key 79')).toEqual({ value: 79, fresh: false })
    void read(false, 'key 0')
    await settled()
    expect(loads).toHaveLength(81)
  })
})

describe('ids that nobody knows', () => {
  it('cost ten look-ups a minute and no more', () => {
    const misses = new Misses()
    const spend = (now: number, key = 'k') => misses.spend(key, 'rail', now)
    for (let index = 0; index < 10; index++) spend(1000 + index)
    expect(() => spend(2000)).toThrow(
      expect.objectContaining({
        code: 'provider_unavailable',
        message: 'too many ids were asked for that railway does not know, by "rail"',
        hint: expect.stringContaining(new Date(61_000).toISOString()),
      }),
    )
    spend(2000, 'another lease’s project')
    spend(61_000)
  })
})
