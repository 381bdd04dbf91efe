import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isAlive, until } from '../fixtures/broker.ts'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import { eventsFor, graphql, nameOf } from '../fixtures/proxied-requests.ts'

let broker: ProxiedProduct
beforeAll(async () => {
  broker = await ProxiedProduct.start()
})
afterAll(() => broker?.dispose())
afterEach(async () => {
  broker.cloud.fail('off')
  await broker.endTasks()
})

const name = () => nameOf(broker.cloud.ids.staging)
const removal = () =>
  graphql('mutation($id:String!){volumeDelete(volumeId:$id)}', { id: broker.cloud.ids.cache })
describe('kill -9 of the daemon under a proxied task', () => {
  it.each([
    ['the task ends at once', 'SIGKILL'],
    ['with an abort, which may leave a core file', 'SIGABRT'],
  ] as const)(
    '%s: nothing goes out, and the next daemon ends what it held',
    async (_name, signal) => {
      const task = await broker.startAgent(['--template', 'both'])
      await task.follow('events', eventsFor(task))
      const held = task.send(removal())
      const { id } = await broker.question()
      const before = broker.cloud.record.length
      const daemon = broker.daemon()
      process.kill(daemon, signal)
      await until('it is gone', () => !isAlive(daemon))
      const died = performance.now()
      expect((await task.hear('events over')).end).toBe('cut')
      expect((await held).failed).toBeDefined()
      expect((await task.send(name())).failed).toBe('ECONNREFUSED')
      const { status, err } = await task.ended
      // Ten seconds to come back, two for last words; it was back much sooner.
      expect(performance.now() - died).toBeLessThan(20_000)
      expect(status).toBe(143)
      expect(err).toContain(
        `broker: lease ${task.lease} ended early (its proxy ended with the daemon): its credentials no longer work, and the command is ended\n`,
      )
      expect(isAlive(task.pid)).toBe(false)
      await broker.recovered()
      expect(await broker.lease(task.lease)).toMatchObject({
        ...{ state: 'revoked', endReason: 'proxy_lost' },
        endNote: 'its proxy ended with the daemon',
      })
      expect(broker.isTokenAlive(task.lease)).toBe(false)
      expect((await broker.approvals('--all')).find((one) => one.id === id)?.state).toBe('lapsed')
      // What arrived since is the broker's own.
      const since = broker.cloud.record.slice(before)
      expect(since.filter(({ headers }) => !headers.some(isOfBroker))).toEqual([])
      expect(broker.left(task.phantom)).toBe(false)
      expect(broker.forge.open).toBe(0)
    },
  )

  it('and of exec with it: nobody is left to end the child, but nothing it holds works', async () => {
    const task = await broker.startAgent()
    await broker.kill(broker.daemon())
    await broker.kill(task.exec.pid)
    const port = task.proxyPort
    await broker.recovered()
    expect(await broker.lease(task.lease)).toMatchObject({
      state: 'revoked',
      endReason: 'proxy_lost',
    })
    expect(broker.isTokenAlive(task.lease)).toBe(false)
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow()
  })

  it('which does not come back: exec ends the child within its limits and says why', async () => {
    const task = await broker.startAgent([], { BROKER_FAULT: 'C12' })
    // Every daemon that this exec starts dies as it begins to end the lease.
    await broker.kill(broker.daemon())
    const died = performance.now()
    const { status, err } = await task.ended
    expect(performance.now() - died).toBeLessThan(25_000)
    expect(status).toBe(143)
    expect(err).toMatch(
      /\nbroker: (lease \w+ ended early|the daemon went away and did not come back)/,
    )
    expect(isAlive(task.pid)).toBe(false)
    await broker.recovered()
    expect(broker.isTokenAlive(task.lease)).toBe(false)
  })
})

describe('kill -9 of exec', () => {
  it('ends the lease: connections cut, token dead, port closed', async () => {
    const task = await broker.startAgent()
    await task.follow('events', eventsFor(task))
    await broker.kill(task.exec.pid)
    await until('the stream is cut', () => broker.forge.open === 0)
    await broker.recovered()
    expect(await broker.lease(task.lease)).toMatchObject({
      ...{ state: 'revoked', endReason: 'task_ended', endNote: 'the session was lost' },
    })
    expect(broker.isTokenAlive(task.lease)).toBe(false)
    const token = broker.made.find((one) => one.name.includes(task.lease))?.token ?? ''
    expect(await askCloud(token)).toContain('Not Authorized')
    await expect(fetch(`http://127.0.0.1:${task.proxyPort}/`)).rejects.toThrow()
  })

  it('before it acknowledged, before its child and beside its child: the same', async () => {
    const made = broker.made.length
    const faults = ['C7', 'C8', 'C9']
    const runs = faults.map((fault) => broker.exec(['true'], [], { env: { BROKER_FAULT: fault } }))
    for (const { status } of await Promise.all(runs)) expect(status).toBe(137)
    expect(broker.made).toHaveLength(made + faults.length)
    await broker.recovered()
    const last = (await broker.facts()).slice(0, faults.length)
    expect(last.map(({ state, endReason }) => [state, endReason])).toEqual(
      faults.map(() => ['revoked', 'task_ended']),
    )
  })
})

it('nothing of all this has shown a secret', async () => {
  await broker.recovered()
  await broker.must(['audit', 'verify'])
  expect(await broker.sightings()).toEqual([])
  expect(broker.canary.size).toBeGreaterThan(10)
})

function isOfBroker([name, value]: readonly [string, string]): boolean {
  return name === 'user-agent' && value === 'broker'
}

/** Asked at the cloud itself, past the broker. */
async function askCloud(token: string): Promise<string> {
  const dispatcher = new Agent({ connect: { ca: broker.cloud.ca } })
  const answer = await request(`${broker.cloud.url}/graphql/v2`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'project-access-token': token },
    body: JSON.stringify({ query: '{projectToken{id}}' }),
    dispatcher,
  })
  const text = await answer.body.text()
  await dispatcher.close()
  return text
}
