import { afterEach, describe, expect, it } from 'vitest'
import { narrowness } from '../../src/broker/narrowness.ts'
import { Guarded } from '../fixtures/guarded.ts'

let guarded: Guarded | undefined
afterEach(() => guarded?.dispose())

const probes = async (one: Guarded) =>
  (await one.context.store.read.entries({ after: 0, limit: 100 })).filter(
    ({ type }) => type === 'connection.probed',
  )

describe('trying how narrow a grant is', () => {
  it('is on record before anything is made at the provider, and leaves nothing there', async () => {
    guarded = await Guarded.start()
    const { context, cloud } = guarded
    const before = cloud.world.projectTokens.length
    const sections = await narrowness(context, { probe: true })
    expect(sections[0]?.findings.some(({ message }) => /tried just now/.test(message))).toBe(true)
    expect(await probes(guarded)).toHaveLength(1)
    expect(cloud.record.some(({ body }) => body.includes('projectTokenCreate'))).toBe(true)
    expect(cloud.world.projectTokens.length).toBe(before)
  })

  it('is not done when it cannot be recorded', async () => {
    guarded = await Guarded.start()
    const { context, cloud } = guarded
    const store = { ...context.store, write: () => Promise.reject(new Error('disk full')) }
    const broken = Object.assign(Object.create(context), { store })
    Object.defineProperty(broken.store, 'read', { value: context.store.read })
    await narrowness(broken, { probe: true })
    expect(cloud.record.some(({ body }) => body.includes('projectTokenCreate'))).toBe(false)
  })

  it('makes and records nothing where it is only asked what is known', async () => {
    guarded = await Guarded.start()
    await narrowness(guarded.context, { probe: false })
    expect(await probes(guarded)).toHaveLength(0)
    expect(guarded.cloud.record.some(({ body }) => body.includes('projectTokenCreate'))).toBe(false)
  })
})
