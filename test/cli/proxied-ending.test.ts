import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import type { AgentTask } from '../fixtures/proxied-agent.ts'
import { codeOf, eventsFor, graphql, nameOf } from '../fixtures/proxied-requests.ts'

let broker: ProxiedProduct
beforeAll(async () => {
  broker = await ProxiedProduct.start()
})
afterAll(async () => {
  try {
    await until('no token is left', () => broker.tokensAtCloud().length === 0)
    expect(await broker.sightings()).toEqual([])
  } finally {
    await broker?.dispose()
  }
})
afterEach(async () => {
  broker.cloud.fail('off')
  await broker.endTasks()
})

const name = () => nameOf(broker.cloud.ids.staging)

/** Nothing of a lease works any more: not its open response, its proxy, its token, or its handle. */
async function expectDead(task: AgentTask): Promise<void> {
  expect((await task.send(name())).failed).toBe('ECONNREFUSED')
  expect(await task.isProxyOpen()).toBe(false)
  expect(broker.isTokenAlive(task.lease)).toBe(false)
  expect(await task.ask('daemon', { method: 'GET', path: '/v1/leases' })).toMatchObject({
    status: 410,
    text: expect.stringContaining('lease_ended'),
  })
}

describe('a lease that ends while an answer flows', () => {
  it('by broker revoke: the answer is cut, and nothing goes out after it', async () => {
    const task = await broker.startAgent()
    await task.follow('events', eventsFor(task))
    const began = performance.now()
    const revoked = broker.run(['revoke', task.lease, '--reason', 'that was enough'])
    expect((await task.hear('events over')).end).toBe('cut')
    // The command's own start is in it; what is promised of the cut alone is tested at the engine.
    expect(performance.now() - began).toBeLessThan(5000)
    expect((await revoked).status).toBe(0)
    await until('the forge sees it', () => broker.forge.open === 0)
    await expectDead(task)
    const { status, err } = await task.finish()
    expect(status).toBe(0)
    expect(err).toContain(
      `broker: lease ${task.lease} ended early (revoked): its credentials no longer work\n`,
    )
    expect(await broker.lease(task.lease)).toMatchObject({
      ...{ state: 'revoked', endReason: 'revoked_by_operator', endNote: 'that was enough' },
    })
    const entries = await broker.entries(task.lease)
    const cut = entries.filter(({ type }) => type === 'request.ended').at(-1)
    expect(cut?.data).toMatchObject({ grant: 'forge', status: 200 })
    expect(cut?.data['end']).not.toBe('complete')
  })

  it('by its time: the same, and no sooner', async () => {
    const task = await broker.startAgent(['--ttl', '3s'])
    await task.follow('events', eventsFor(task))
    expect((await task.hear('events over')).end).toBe('cut')
    const { expiresAt, issuedAt } = await broker.lease(task.lease)
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt))
    expect(Date.parse(expiresAt) - Date.parse(issuedAt)).toBe(3000)
    await until('the token is dead', () => !broker.isTokenAlive(task.lease))
    await expectDead(task)
    expect((await task.finish()).err).toContain('ended early (its time is up)')
    expect(await broker.lease(task.lease)).toMatchObject({ state: 'revoked', endReason: 'ttl' })
  })

  it('by the end of its command, while something that it left behind still asks', async () => {
    const task = await broker.startAgent()
    const { url, headers } = eventsFor(task)
    const follow = `fetch(process.argv[1], { headers: { authorization: process.argv[2] } }).then(async (a) => { for await (const _ of a.body); })`
    const line = '"$NODE" -e "$FOLLOW" "$URL" "$PAIR" >/dev/null 2>&1 &'
    const env = { NODE: process.execPath, FOLLOW: follow, URL: url, PAIR: headers.authorization }
    await task.shell(line, env)
    await until('it follows the stream', () => broker.forge.open === 1)
    expect((await task.finish()).err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    await until('it is cut', () => broker.forge.open === 0)
    expect(broker.isTokenAlive(task.lease)).toBe(false)
  })
})

describe('a cloud that does not answer', () => {
  const volume = () =>
    graphql('mutation($id:String!){volumeDelete(volumeId:$id)}', { id: broker.cloud.ids.cache })

  it.each([
    ['down', 'railway does not answer for "railway"'],
    ['not-authorized', 'railway refused the token of "railway"'],
  ] as const)(
    '%s while the lease is made: nothing runs, and one line says why',
    async (mode, why) => {
      broker.cloud.fail(mode)
      const { status, out, err } = await broker.exec(['echo', 'RAN'])
      expect([status, out]).toEqual([125, ''])
      expect(err).toMatch(new RegExp(`^broker: ${why}\nhint: .+\n$`))
      expect(broker.tokensAtCloud()).toEqual([])
    },
  )

  it('silent: a look-up and a mint are given up in time, and nothing is forwarded', async () => {
    const task = await broker.startAgent()
    broker.cloud.fail('hang')
    const [told, refused] = await Promise.all([task.send(volume()), broker.exec(['echo', 'RAN'])])
    expect([told.status, codeOf(told)]).toEqual([502, 'upstream_failed'])
    expect(refused).toMatchObject({ status: 125, out: '' })
    expect(refused.err).toContain('broker: railway does not answer for "railway"\nhint: ')
    broker.cloud.fail('off')
    expect(broker.mutations()).toEqual([])
    await task.finish()
  })

  it('down at a look-up: the request is refused with 502 and nothing is forwarded', async () => {
    const task = await broker.startAgent()
    broker.cloud.fail('down')
    const told = await task.send(volume())
    expect([told.status, codeOf(told)]).toEqual([502, 'upstream_failed'])
    broker.cloud.fail('off')
    expect(broker.cloud.world.volumes.some(({ id }) => id === broker.cloud.ids.cache)).toBe(true)
    expect(broker.mutations()).toEqual([])
    const denied = (await broker.entries(task.lease)).filter(
      ({ type }) => type === 'request.denied',
    )
    expect(denied.at(-1)?.data).toMatchObject({ code: 'upstream_failed' })
    await task.finish()
  })

  it('down at the end: exec says what is still being revoked, and it is once the cloud is back', async () => {
    const task = await broker.startAgent()
    broker.cloud.fail('down')
    const { status, err } = await task.finish()
    expect(status).toBe(0)
    expect(err).toContain(
      '\nbroker: still revoking railway (railway does not answer for "railway"): see broker tokens\n',
    )
    const lease = await broker.lease(task.lease)
    expect(lease).toMatchObject({ state: 'revoking', endedAt: null })
    expect(lease.grants).toMatchObject([
      { name: 'railway', state: 'revoking', lastError: 'railway does not answer for "railway"' },
      { name: 'forge', state: 'revoked' },
    ])
    expect(broker.isTokenAlive(task.lease)).toBe(true)
    broker.cloud.fail('off')
    // The daemon tries again by itself, by and by; a person may have it try at once.
    await broker.must(['revoke', task.lease])
    expect(broker.isTokenAlive(task.lease)).toBe(false)
    expect(await broker.lease(task.lease)).toMatchObject({
      state: 'revoked',
      endReason: 'task_ended',
    })
  })
})

describe('a connection that somebody turns to another address', () => {
  let trap: { readonly url: string; readonly knocks: () => number; close(): void }
  beforeAll(async () => {
    let knocks = 0
    const server = createServer((socket) => {
      knocks++
      socket.destroy()
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as AddressInfo
    trap = { url: `https://127.0.0.1:${port}`, knocks: () => knocks, close: () => server.close() }
  })
  afterAll(() => trap.close())

  function rewrite(from: string, to: string): void {
    const database = new DatabaseSync(join(broker.home, 'state', 'broker.sqlite'), {
      timeout: 10_000,
    })
    const change = `UPDATE connections SET settings = replace(settings, ?, ?), origin = replace(origin, ?, ?) WHERE name = 'railway'`
    expect(database.prepare(change).run(from, to, from, to).changes).toBe(1)
    database.close()
  }

  it('by broker connect: refused while a lease lives on it', async () => {
    const task = await broker.startAgent()
    const args = ['connect', 'railway', '--url', trap.url, '--secret-stdin', '--no-check']
    const { status, err } = await broker.run(args, { input: broker.cloud.accountToken })
    expect(status).toBe(1)
    expect(err).toMatch(
      /^broker: connection "railway" has \d+ live grants at another address\nhint: /,
    )
    expect((await task.send(name())).text).toContain('"staging"')
    await task.finish()
    expect(trap.knocks()).toBe(0)
  })

  it('by hand in the database: no secret goes there, neither for a request nor to revoke', async () => {
    const task = await broker.startAgent()
    rewrite(broker.cloud.url, trap.url)
    const told = await task.send(name())
    expect([told.status, codeOf(told)]).toEqual([403, 'operation_denied'])
    expect(told.text).toContain('connection \\"railway\\" was changed since its secret was given')
    expect(told.text).toContain('give its secret again: broker connect railway railway')
    const refused = await broker.exec(['true'])
    expect([refused.status, refused.err]).toEqual([
      125,
      expect.stringContaining('connection "railway" was changed since its secret was given'),
    ])
    const revoked = await broker.run(['revoke', task.lease])
    expect([revoked.status, revoked.out]).toEqual([
      6,
      expect.stringContaining('was changed since its secret was given'),
    ])
    expect(broker.isTokenAlive(task.lease)).toBe(true)
    expect(trap.knocks()).toBe(0)
    rewrite(trap.url, broker.cloud.url)
    await broker.must(['revoke', task.lease])
    expect(broker.isTokenAlive(task.lease)).toBe(false)
    expect(trap.knocks()).toBe(0)
    await task.finish()
  })
})
