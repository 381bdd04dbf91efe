import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Outcomes } from '../../src/broker/authorize/outcomes.ts'
import type { Outcome } from '../../src/proxy/gate.ts'
import { entriesOf, NEVER, openYard, request, type Yard } from './authorize-fixture.ts'

let yard: Yard

beforeEach(async () => {
  yard = await openYard()
  // The moment after which outcomes are written by themselves never comes here.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(async () => {
  vi.useRealTimers()
  await yard.context.dispose()
})

const typesOf = async () => (await entriesOf(yard)).map(({ type }) => type)

describe('the outcomes of requests', () => {
  it('are durable with the next decision, and need no commit of their own', async () => {
    const [first, second] = [request('/look/t1'), request('/look/t2')]
    await yard.gate.judge(first, NEVER)
    yard.gate.outcome(over(first.id))
    expect(await typesOf()).toEqual(['request.allowed'])
    await yard.gate.judge(second, NEVER)
    expect(await typesOf()).toEqual(['request.allowed', 'request.ended', 'request.allowed'])
  })

  it('are all durable for who waits, also those that are being written already', async () => {
    const outcomes = new Outcomes(yard.context)
    outcomes.add({ type: 'request.ended', lease: yard.task.lease, data: { request: 1 } })
    void outcomes.flush()
    await outcomes.flush()
    expect(await typesOf()).toEqual(['request.ended'])
  })
})

function over(id: number): Outcome {
  return {
    kind: 'request',
    request: {
      id,
      protocol: 'h2',
      route: 'intercept',
      scheme: 'https',
      host: 'api.things.example',
      port: 443,
      method: 'GET',
      path: '/',
    },
    status: 200,
    bytesUp: 0,
    bytesDown: 0,
    durationMs: 1,
    end: 'complete',
  }
}
