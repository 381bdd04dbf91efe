import { afterEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../src/broker/context.ts'
import { issue } from '../../src/broker/issue.ts'
import { endLostProxies } from '../../src/broker/sweep.ts'
import type { GrantRule, Template } from '../../src/core/template.ts'
import { Guarded } from '../fixtures/guarded.ts'

let guarded: Guarded | undefined
afterEach(() => guarded?.dispose())

/** A second template beside the one of the fixture, for tasks inside its tasks. */
async function beside(one: Guarded, rule: Partial<GrantRule>): Promise<void> {
  const { configuration } = await one.context.policy()
  const templates = configuration.templates as Record<string, Template>
  const main: GrantRule = { allow: [], approve: [], deny: [], ...rule }
  const dev = templates['dev'] as Template
  templates['dev'] = { ...dev, isDefault: true }
  templates['inner'] = { ...dev, name: 'inner', grants: { main } }
}

async function inside(
  one: Guarded,
): Promise<{ caller: Caller; ask: () => ReturnType<typeof issue> }> {
  const task = await one.issue()
  const lease = await one.context.store.read.lease(task.lease.id)
  if (!lease) throw new Error('no lease')
  const caller: Caller = { kind: 'lease', lease }
  return {
    caller,
    ask: () => issue(one.context, caller, { environment: 'staging', template: 'inner' }),
  }
}

describe('a lease asked for from inside a proxied task', () => {
  it('may not do by itself what the task may only do with an approval', async () => {
    guarded = await Guarded.start({ rule: { approve: ['volumeDelete'] } })
    await beside(guarded, { allow: ['read', 'volumeDelete'] })
    const { ask } = await inside(guarded)
    await expect(ask()).rejects.toMatchObject({
      code: 'denied',
      details: { operations: ['volumeDelete'] },
    })
  })

  it('may not ask for approvals that the task itself could not ask for', async () => {
    guarded = await Guarded.start({ rule: { approve: ['volumeDelete'] } })
    await beside(guarded, { allow: ['read'], approve: ['volumeDelete', 'serviceDelete'] })
    const { ask } = await inside(guarded)
    await expect(ask()).rejects.toMatchObject({
      code: 'denied',
      details: { operations: ['serviceDelete'] },
    })
  })

  it('gets a proxy of its own, which ends with the task', async () => {
    guarded = await Guarded.start({ rule: { approve: ['volumeDelete'] } })
    await beside(guarded, { allow: ['read'], approve: ['volumeDelete'] })
    const { ask } = await inside(guarded)
    const inner = await ask()
    expect(inner.proxy).not.toBeNull()
    expect(guarded.proxies.has(inner.lease.id)).toBe(true)
  })
})

describe('a lease whose proxy was in the process before', () => {
  it('ends at the start, and what was minted for it is deleted', async () => {
    guarded = await Guarded.start()
    const { context, cloud } = guarded
    const before = cloud.world.projectTokens.length
    const task = await guarded.issue()
    expect(cloud.world.projectTokens.length).toBe(before + 1)
    expect(await endLostProxies(context)).toBe(1)
    await Promise.all(context.revoking.values())
    const lease = await context.store.read.lease(task.lease.id)
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'proxy_lost' })
    expect(cloud.world.projectTokens.length).toBe(before)
  })
})
