import { expect, test } from 'vitest'
import { UnderWay } from '../../src/proxy/under-way.ts'

test('whoever has left is not aborted, and whoever took the place is', () => {
  const underWay = new UnderWay()
  const first = new AbortController()
  const second = new AbortController()
  const third = new AbortController()
  const left = underWay.enter(first)
  const alsoLeft = underWay.enter(second)
  underWay.leave(alsoLeft)
  underWay.leave(left)
  expect(underWay.enter(third)).toBe(left)
  underWay.abortAll('ended')
  expect([first, second, third].map(({ signal }) => signal.aborted)).toEqual([false, false, true])
  expect(third.signal.reason).toBe('ended')
})

test('two never share a place', () => {
  const underWay = new UnderWay()
  const places = Array.from({ length: 3 }, () => underWay.enter(new AbortController()))
  underWay.leave(places[1] ?? 0)
  underWay.leave(places[0] ?? 0)
  const again = [underWay.enter(new AbortController()), underWay.enter(new AbortController())]
  expect(new Set([...again, places[2]]).size).toBe(3)
})

test('what leaves while all are aborted takes no other one along', () => {
  const underWay = new UnderWay()
  const aborts = [0, 0, 0].map(() => new AbortController())
  for (const abort of aborts) {
    const place = underWay.enter(abort)
    abort.signal.addEventListener('abort', () => underWay.leave(place))
  }
  underWay.abortAll('ended')
  expect(aborts.every(({ signal }) => signal.aborted)).toBe(true)
})
