import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LeaseKind } from './attacks/gate/attack.ts'
import { MESSAGE_ATTACKS, type MessageAttack } from './attacks/gate/messages.ts'
import { fill } from './attacks/gate/names.ts'
import { Stage } from './attacks/gate/stage.ts'
import { openSocket, type SocketClient } from './ws-client.ts'

const stages = new Map<LeaseKind, Stage>()
beforeAll(async () => {
  for (const kind of ['wide', 'narrow'] as const) stages.set(kind, await Stage.open(kind))
})
afterAll(async () => {
  for (const stage of stages.values()) await stage.close()
})

function stageOf(kind: LeaseKind): Stage {
  const stage = stages.get(kind)
  if (!stage) throw new Error('the stage is not open')
  return stage
}

/** As long as a busy machine may take. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 20_000, interval: 5 })

/** A websocket of the task, greeted. */
async function greeted({ task }: Stage): Promise<SocketClient> {
  const socket = await task.secure('backboard.railway.com:443', { ALPNProtocols: ['http/1.1'] })
  const client = await openSocket(socket, {
    url: 'wss://backboard.railway.com/graphql/v2',
    protocols: ['graphql-transport-ws'],
    headers: { 'project-access-token': task.phantom },
  })
  client.socket.send('{"type":"connection_init"}')
  await eventually(() => client.texts).toContain('{"type":"connection_ack"}')
  return client
}

async function attack(stage: Stage, one: MessageAttack): Promise<void> {
  const { names, guarded } = stage
  const client = await greeted(stage)
  const messages = one.messages.map((text) => fill(text, names))
  const last = messages.pop() ?? ''
  for (const text of messages) {
    const before = client.texts.length
    client.socket.send(text)
    await eventually(() => client.texts.length).toBeGreaterThan(before)
  }
  const before = { world: stage.world(), production: guarded.cloud.snapshot() }
  const arrived = stage.arrived.length
  const heard = client.texts.length
  const mark = await stage.mark()
  client.socket.send(last)
  if (one.ends === 'error') {
    await eventually(() => client.texts.length).toBeGreaterThan(heard)
    const answer = JSON.parse(client.texts[heard] ?? '')
    expect(answer).toMatchObject({
      type: 'error',
      payload: [{ message: expect.stringMatching(/\S/), extensions: { code: one.code } }],
    })
    client.socket.terminate()
  } else expect((await client.closed).code).toBe(one.code === 'foreign_credential' ? 4403 : 4400)

  expect(stage.arrived.slice(arrived)).toEqual([])
  expect(stage.world()).toBe(before.world)
  expect(guarded.cloud.snapshot()).toEqual(before.production)
  const denials = async () =>
    (await stage.entriesSince(mark)).filter(({ type }) => type === 'request.denied')
  await expect
    .poll(async () => (await denials()).map(({ data }) => data['code']))
    .toEqual([one.code])
  const told = JSON.stringify([client.texts, await denials()])
  for (const secret of [...stage.secrets, ...stage.phantoms]) expect(told).not.toContain(secret)
}

describe('over a websocket', () => {
  for (const one of MESSAGE_ATTACKS) {
    it(`${one.name}: ${one.code}`, () => attack(stageOf(one.lease), one))
  }

  it('what is allowed passes, and the phantom has arrived nowhere', async () => {
    const stage = stageOf('wide')
    const client = await greeted(stage)
    const id = stage.names['webStagingDeployment']
    const query = `subscription{deploymentLogs(deploymentId:"${id}"){message}}`
    const payload = { query: `# look\n${query}` }
    const mark = await stage.mark()
    client.socket.send(JSON.stringify({ id: 'a', type: 'subscribe', payload }, null, 2))
    await eventually(() => client.texts.join()).toContain('"type":"next"')
    client.socket.terminate()
    // What was judged has gone, and not what was sent; and it is on record.
    const heard = JSON.parse(stage.arrived.at(-1)?.body ?? '')
    expect(heard).toEqual({ id: 'a', type: 'subscribe', payload: { query } })
    const allowed = (await stage.entriesSince(mark)).filter(
      ({ type }) => type === 'request.allowed',
    )
    expect(allowed).toMatchObject([
      {
        data: {
          verdict: 'allowed',
          operations: [{ name: 'deploymentLogs', rule: 'allow: deploymentLogs' }],
        },
      },
    ])
    const record = JSON.stringify(stage.guarded.cloud.record)
    for (const phantom of stage.phantoms) expect(record).not.toContain(phantom)
    const kept = stage.kept()
    for (const secret of [...stage.secrets, ...stage.phantoms]) expect(kept).not.toContain(secret)
  })
})
