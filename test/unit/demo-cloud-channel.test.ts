import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import { account, CloudClient, type Credential, project } from './demo-cloud-client.ts'

let cloud: Cloud
const open: WebSocket[] = []
beforeEach(async () => {
  cloud = await startCloud()
})
afterEach(async () => {
  for (const each of open.splice(0)) each.terminate()
  await cloud.close()
})

/** A websocket and what came over it. */
async function socket(headers: Credential, protocol = 'graphql-transport-ws') {
  const url = `${cloud.url.replace('https', 'wss')}/graphql/v2`
  const client = new WebSocket(url, protocol, { headers, ca: cloud.ca })
  open.push(client)
  const heard: { readonly type: string; readonly id?: string; readonly payload?: unknown }[] = []
  client.on('message', (data) => heard.push(JSON.parse(data.toString())))
  const closed = once(client, 'close').then(([code]) => code as number)
  closed.catch(() => {})
  await once(client, 'open')
  const say = (message: object) => client.send(JSON.stringify(message))
  return { say, heard, closed }
}

async function greeted(headers: Credential) {
  const channel = await socket(headers)
  channel.say({ type: 'connection_init' })
  await expect.poll(() => channel.heard[0]?.type).toBe('connection_ack')
  return channel
}

const subscribe = (query: string) => ({ type: 'subscribe', id: 'a', payload: { query } })

describe('a websocket', () => {
  it('is not opened without a credential, nor for another protocol', async () => {
    await expect(socket({})).rejects.toThrow('400')
    await expect(socket(account(cloud.accountToken), 'graphql-ws')).rejects.toThrow('400')
  })

  it('is closed where it does not begin with a greeting', async () => {
    const channel = await socket(account(cloud.accountToken))
    channel.say(subscribe('{__typename}'))
    expect(await channel.closed).toBe(4401)
  })

  it('tells nothing of another environment', async () => {
    const channel = await greeted(project(cloud.projectTokens.staging))
    const { webProductionDeployment: id } = cloud.ids
    channel.say(subscribe(`subscription{deployment(id:"${id}"){status}}`))
    await expect
      .poll(() => channel.heard[1])
      .toMatchObject({
        id: 'a',
        payload: { data: null, errors: [{ message: 'Not Authorized' }] },
      })
  })

  it('is where a subscription has to go', async () => {
    const client = new CloudClient(cloud)
    const { webStagingDeployment: id } = cloud.ids
    const query = `subscription{deployment(id:"${id}"){status}}`
    const asked = await client.ask(account(cloud.accountToken), query)
    await client.close()
    expect(asked).toMatchObject({ status: 400, errors: ['Subscriptions need a websocket'] })
  })

  it('tells what there is and stays open, with every message on record', async () => {
    const channel = await greeted(project(cloud.projectTokens.staging))
    const { webStagingDeployment: id } = cloud.ids
    const message = subscribe(`subscription{deploymentLogs(deploymentId:"${id}"){message}}`)
    channel.say(message)
    await expect
      .poll(() => channel.heard[1])
      .toEqual({
        id: 'a',
        type: 'next',
        payload: {
          data: { deploymentLogs: [{ message: 'starting web' }, { message: 'listening on 8080' }] },
        },
      })
    channel.say(message)
    expect(await channel.closed).toBe(4409)
    expect(channel.heard.map(({ type }) => type)).toEqual(['connection_ack', 'next'])
    const [handshake, , first] = cloud.record
    expect(handshake).toMatchObject({ method: 'GET', authorised: 'project token ci-staging' })
    expect(first).toMatchObject({ method: 'MESSAGE', authorised: 'project token ci-staging' })
    expect(JSON.parse(first?.body ?? '')).toEqual(message)
  })

  it('runs mutations as well, which is why its messages have to be judged', async () => {
    const channel = await greeted(account(cloud.accountToken))
    channel.say(subscribe(`mutation{volumeDelete(volumeId:"${cloud.ids.pgdata}")}`))
    await expect.poll(() => channel.heard.map(({ type }) => type).at(-1)).toBe('complete')
    expect(cloud.world.volumes.map(({ name }) => name)).not.toContain('pgdata')
  })
})
