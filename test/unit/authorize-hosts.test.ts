import { afterEach, describe, expect, it } from 'vitest'
import { Hosts, isListed } from '../../src/broker/authorize/hosts.ts'
import { HOST, openYard, store, thingsGuard, type Yard } from './authorize-fixture.ts'

describe('a list of hosts', () => {
  const LIST = ['api.example', '*.cdn.example']
  for (const host of ['api.example', 'a.cdn.example', 'a.b.cdn.example']) {
    it(`has "${host}"`, () => expect(isListed(LIST, host)).toBe(true))
  }
  for (const host of [
    ...['cdn.example', 'xapi.example', 'api.example.evil', 'www.api.example', 'xcdn.example'],
    ...['a.cdn.example.evil', '.cdn.examplex', '', 'example', '*.cdn.example.evil'],
  ]) {
    it(`does not have "${host}"`, () => expect(isListed(LIST, host)).toBe(false))
  }
  it('has nothing when it is empty', () => expect(isListed([], 'api.example')).toBe(false))
})

describe('known hosts', () => {
  let yard: Yard
  afterEach(() => yard.context.dispose())
  const find = (host: string) => new Hosts(yard.context, yard.task).find(host)

  it('are those of a grant', async () => {
    yard = await openYard()
    expect(await find(HOST)).toMatchObject({ provider: 'things', grants: [{ name: 'main' }] })
  })

  it('are those of a grant whose connection is gone', async () => {
    yard = await openYard()
    await yard.context.store.write((writer) => writer.deleteConnection('things-main'))
    yard.context.connections.version++
    expect((await find(HOST))?.grants).toHaveLength(1)
  })

  it('are those of a provider that is stored and not granted, without a grant', async () => {
    yard = await openYard(thingsGuard(), { grants: [] })
    expect(await find(HOST)).toMatchObject({ provider: 'things', grants: [] })
  })

  it('are the addresses of connections: with the grant of that connection, and no other', async () => {
    yard = await openYard()
    await store(yard.context, 'things-else', 'https://else.example:8443')
    expect((await find('else.example'))?.grants).toEqual([])
    const [grant] = yard.task.grants
    if (!grant) throw new Error('no grant')
    const task = { ...yard.task, grants: [{ ...grant, connection: 'things-else' }] }
    expect((await new Hosts(yard.context, task).find('else.example'))?.grants).toHaveLength(1)
  })

  it('are the same whatever order the connections of one address were stored in', async () => {
    yard = await openYard()
    await store(yard.context, 'a-first', 'https://shared.example')
    await store(yard.context, 'z-own', 'https://shared.example:8443')
    const [grant] = yard.task.grants
    if (!grant) throw new Error('no grant')
    for (const connection of ['a-first', 'z-own']) {
      const task = { ...yard.task, grants: [{ ...grant, connection }] }
      expect((await new Hosts(yard.context, task).find('shared.example'))?.grants).toHaveLength(1)
    }
  })

  it('are addresses of IPv6 as the proxy writes them', async () => {
    yard = await openYard()
    await store(yard.context, 'things-six', 'https://[::1]:8443')
    expect(await find('::1')).toBeDefined()
  })

  it('are read again when connections change', async () => {
    yard = await openYard()
    const hosts = new Hosts(yard.context, yard.task)
    expect(await hosts.find('late.example')).toBeUndefined()
    await store(yard.context, 'things-late', 'https://late.example')
    expect(await hosts.find('late.example')).toBeDefined()
  })

  it('are none of everybody else', async () => {
    yard = await openYard()
    for (const host of ['example.com', `x.${HOST}`, `${HOST}.evil`, '']) {
      expect(await find(host)).toBeUndefined()
    }
  })

  it('are asked for again when they could not be read', async () => {
    yard = await openYard()
    const { context } = yard
    const { read } = context.store
    let fail = true
    const flaky = Object.create(read, {
      connections: {
        value: () => (fail ? Promise.reject(new Error('disk')) : read.connections()),
      },
    })
    const real = context.store
    Object.assign(context, { store: { read: flaky, close: () => real.close() } })
    const hosts = new Hosts(context, yard.task)
    await expect(hosts.find(HOST)).rejects.toThrow('disk')
    fail = false
    expect(await hosts.find(HOST)).toBeDefined()
    Object.assign(context, { store: real })
  })

  it('are not those of a provider that cannot be loaded any more', async () => {
    yard = await openYard(thingsGuard(), { grants: [] })
    Object.assign(yard.context, { provider: () => Promise.reject(new Error('unknown')) })
    expect(await find(HOST)).toBeUndefined()
  })
})
