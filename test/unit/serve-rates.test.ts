import { describe, expect, it } from 'vitest'
import { addressKey, Rates } from '../../src/daemon/serve/rates.ts'

describe('a rate', () => {
  let now = 0
  const rates = (most?: number) => new Rates({ burst: 3, perMinute: 60 }, () => now, most)

  it('refuses the fourth of three at once, and says how long to wait', () => {
    now = 0
    const three = rates()
    expect([three.take('a'), three.take('a'), three.take('a')]).toEqual([0, 0, 0])
    expect(three.take('a')).toBe(1000)
    now = 999
    expect(three.take('a')).toBe(1)
    now = 1000
    expect(three.take('a')).toBe(0)
    expect(three.take('a')).toBe(1000)
  })

  it('is each one’s own', () => {
    const three = rates()
    for (let i = 0; i < 4; i++) three.take('a')
    expect(three.wait('a')).toBeGreaterThan(0)
    expect(three.take('b')).toBe(0)
  })

  it('never makes anybody wait for more than one turn, however often they were refused', () => {
    now = 0
    const three = rates()
    for (let i = 0; i < 1000; i++) three.charge('a')
    expect(three.wait('a')).toBeLessThanOrEqual(2000)
  })

  it('holds over a long time what it says for a minute', () => {
    now = 0
    const three = rates()
    let taken = 0
    for (; now < 600_000; now += 7) if (three.take('a') === 0) taken++
    expect(taken).toBeGreaterThanOrEqual(600)
    expect(taken).toBeLessThanOrEqual(603)
  })

  it('remembers no more than so many, and forgets those first that are as good as new', () => {
    now = 0
    const few = rates(100)
    for (let i = 0; i < 4; i++) few.charge('busy')
    now = 1500
    for (let i = 0; i < 5000; i++) {
      few.charge(`stranger ${i}`)
      if (i % 50 === 0) few.charge('busy')
    }
    expect(few.size).toBeLessThanOrEqual(100)
    expect(few.wait('busy')).toBeGreaterThan(0)
  })
})

describe('an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::ffff', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, 'unknown'],
  ])('%s stands for %s', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })
})
