import { expect, it } from 'vitest'
import { Turns } from '../../src/broker/authorize/turns.ts'

const NEVER = new AbortController().signal
const soon = () => new Promise<void>((again) => setImmediate(again))

/** Takes a turn and writes down that it came. */
function queue(turns: Turns, order: string[]) {
  return async (name: string, signal = NEVER, key = 'k') => {
    const release = await turns.take(key, signal)
    order.push(name)
    return release
  }
}

it('nobody gets a turn before the one before is done', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  const first = await take('first')
  const second = take('second')
  await soon()
  expect(order).toEqual(['first'])
  first()
  ;(await second)()
  expect(order).toEqual(['first', 'second'])
})

it('turns come in the order in which they were asked for', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  const all = ['a', 'b', 'c', 'd'].map(async (name) => (await take(name))())
  await Promise.all(all)
  expect(order).toEqual(['a', 'b', 'c', 'd'])
})

it('another key has turns of its own', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  await take('here')
  await take('there', NEVER, 'other')
  expect(order).toEqual(['here', 'there'])
})

it('who gives up lets nobody overtake who is still before them', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  const first = await take('first')
  const gone = new AbortController()
  const second = take('second', gone.signal)
  const third = take('third')
  gone.abort(new Error('gone'))
  await expect(second).rejects.toThrow('gone')
  await soon()
  expect(order).toEqual(['first'])
  first()
  ;(await third)()
  expect(order).toEqual(['first', 'third'])
})

it('who comes after somebody has given up still waits', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  const first = await take('first')
  const gone = new AbortController()
  const second = take('second', gone.signal)
  gone.abort(new Error('gone'))
  await expect(second).rejects.toThrow('gone')
  await soon()
  const third = take('third')
  await soon()
  expect(order).toEqual(['first'])
  first()
  await third
})

it('who has gone already gets no turn, and holds nobody up', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  await expect(take('gone', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
  await take('next')
  expect(order).toEqual(['next'])
})

it('a turn that is given back twice is given back once', async () => {
  const order: string[] = []
  const take = queue(new Turns(), order)
  const first = await take('first')
  const second = take('second')
  first()
  first()
  await second
  const third = take('third')
  first()
  await soon()
  expect(order).toEqual(['first', 'second'])
  ;(await second)()
  await third
})
