import { describe, expect, it } from 'vitest'
import { SecondTime } from '../../src/lib/second-time.ts'

describe('what comes a second time', () => {
  it('is told from what comes once, each time from then on', () => {
    const once = new SecondTime(2)
    expect([once.has('a'), once.has('b'), once.has('a'), once.has('a')]).toEqual([
      false,
      false,
      true,
      true,
    ])
  })

  it('is forgotten when as many others came once', () => {
    const once = new SecondTime(2)
    for (const text of ['a', 'b', 'c']) expect(once.has(text)).toBe(false)
    expect(once.has('b')).toBe(true)
    expect(once.has('a')).toBe(false)
  })

  it('is the same in all its bytes as well', () => {
    const once = new SecondTime(9)
    const of = (bytes: string) => once.has('head', Buffer.from(bytes))
    expect([of('one'), of('two'), of('one'), of('two')]).toEqual([false, false, true, true])
    expect(once.has('other', Buffer.from('one'))).toBe(false)
  })
})
