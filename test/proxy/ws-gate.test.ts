import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { revoke } from '../../src/broker/revoke.ts'
import type { Json } from '../../src/lib/json.ts'
import { railwayCatalogue } from '../../src/providers/railway/catalogue/catalogue.ts'
import { Guarded, type GuardedTask } from '../fixtures/guarded.ts'
import { until } from './world.ts'
import { HandshakeRefused, openSocket, type SocketClient } from './ws-client.ts'
import { putFront } from './ws-front.ts'
import type { SocketUpstream } from './ws-upstream.ts'

const EVERYTHING = [...railwayCatalogue.operations.keys()]
const PROTOCOL = 'graphql-transport-ws'

let guarded: Guarded
let front: SocketUpstream
let task: GuardedTask
let ids: Guarded['cloud']['ids']

async function start(rule: Parameters<typeof Guarded.start>[0] & object) {
  guarded = await Guarded.start(rule)
  ids = guarded.cloud.ids
  front = await putFront(guarded)
}

async function open(headers: Record<string, string> = { 'project-access-token': task.phantom }) {
  return openSocket(await task.tls('backboard.railway.com'), {
    url: 'ws://backboard.railway.com/graphql/v2',
    protocols: [PROTOCOL],
    headers,
  })
}

/** A connection that has been greeted. */
async function greeted(): Promise<SocketClient> {
  const client = await open()
  client.socket.send('{"type":"connection_init"}')
  await until('it is greeted', () => client.texts.length === 1)
  expect(client.texts).toEqual(['{"type":"connection_ack"}'])
  return client
}

const subscribe = (query: string, variables?: Json) =>
  JSON.stringify({
    id: 'q1',
    type: 'subscribe',
    payload: { query, ...(variables && { variables }) },
  })

interface Entry {
  readonly type: string
  readonly data: Readonly<Record<string, Json>>
}
const ofMessages = async (): Promise<readonly Entry[]> =>
  (await task.entries()).filter(({ data }) => data['message'] !== undefined)

/** Sends one message and returns the problem in its answer; nothing of it may have arrived. */
async function problemOf(message: string): Promise<Readonly<Record<string, Json>>> {
  const before = { world: JSON.stringify(guarded.cloud.world) }
  const client = await greeted()
  client.socket.send(message)
  await until('there is an answer', () => client.texts.length === 2)
  const answer = JSON.parse(client.texts[1] ?? '')
  expect(answer).toEqual({
    id: 'q1',
    type: 'error',
    payload: [{ message: expect.stringMatching(/\S/), extensions: expect.any(Object) }],
  })
  expect(front.texts).toEqual(['{"type":"connection_init"}'])
  expect(JSON.stringify(guarded.cloud.world)).toBe(before.world)
  const problem = answer.payload[0].extensions
  expect(problem).toMatchObject({ status: 403, lease: task.lease.id, environment: 'staging' })
  const entries = await ofMessages()
  expect(entries).toMatchObject([
    { type: 'request.denied', data: { message: 2, verdict: 'denied', code: problem['code'] } },
  ])
  // The connection is not closed for it.
  client.socket.send('{"type":"ping"}')
  await until('it still answers', () => client.texts.length === 3)
  return problem
}

/** Sends one message that has no id to answer to. */
async function closeOf(message: string) {
  const client = await greeted()
  client.socket.send(message)
  const closed = await client.closed
  expect(front.texts).toEqual(['{"type":"connection_init"}'])
  expect(await ofMessages()).toMatchObject([{ type: 'request.denied', data: { message: 2 } }])
  return closed
}

afterEach(async () => {
  for (const socket of front.sockets) socket.terminate()
  await until('all are closed', () => front.sockets.size === 0)
})
beforeEach(async () => {
  front.clear()
  task = await guarded.issue()
})
const over = async () => {
  await guarded.dispose()
  front.close()
}

describe('over a websocket of a task that may read', () => {
  beforeAll(() => start({ rule: { allow: ['read'] } }))
  afterAll(over)

  it('a volume is not deleted: the canary', async () => {
    const snapshot = guarded.cloud.snapshot()
    const problem = await problemOf(subscribe(`mutation{volumeDelete(volumeId:"${ids.pgdata}")}`))
    expect(problem).toMatchObject({
      code: 'operation_denied',
      operation: 'volumeDelete',
      risk: 'destructive',
      allowed: ['read'],
    })
    expect(guarded.cloud.snapshot()).toEqual(snapshot)
    const lease = await guarded.context.store.read.lease(task.lease.id)
    expect(lease?.grants[0]?.requests).toMatchObject({ allowed: 1, denied: 1 })
  })

  it('nor under another name, in a fragment, behind a condition', async () => {
    const query = `mutation M($y:Boolean!){...f @include(if:$y)} fragment f on Mutation{a:volumeDelete(volumeId:"${ids.pgdata}")}`
    const problem = await problemOf(subscribe(query, { y: true }))
    expect(problem).toMatchObject({ code: 'operation_denied', operation: 'volumeDelete' })
  })

  it('the logs of production are refused', async () => {
    const problem = await problemOf(
      subscribe(
        `subscription{deploymentLogs(deploymentId:"${ids.webProductionDeployment}"){message}}`,
      ),
    )
    expect(problem['code']).toBe('environment_mismatch')
  })

  for (const [name, message, code] of [
    ['is no JSON', '{', 4400],
    ['is a list', '[{"type":"ping"}]', 4400],
    ['has a type twice', '{"type":"ping","type":"subscribe"}', 4400],
    ['has a type that nobody knows', '{"type":"start","id":"1"}', 4400],
    ['has no id', '{"type":"subscribe","payload":{"query":"{__typename}"}}', 4400],
  ] as const) {
    it(`a message that ${name} ends the connection with ${code}`, async () => {
      expect((await closeOf(message)).code).toBe(code)
    })
  }

  it('a document that cannot be read is an error with its id', async () => {
    expect((await problemOf(subscribe('subscription{')))['code']).toBe('request_malformed')
  })

  it('the task’s own credential in a document is refused', async () => {
    const query = `query($id:String!){project(id:$id){name}}`
    const problem = await problemOf(subscribe(query, { id: `x ${task.phantom}` }))
    expect(problem['code']).toBe('foreign_credential')
  })

  it('nor does it pass where escapes hide it', async () => {
    const escaped = [...task.phantom].map((one) => `\\u00${one.charCodeAt(0).toString(16)}`)
    const message = subscribe(`query($id:String!){project(id:$id){name}}`, { id: 'X' })
    const problem = await problemOf(message.replace('"X"', `"${escaped.join('')}"`))
    expect(problem['code']).toBe('foreign_credential')
  })

  it('the task’s own credential beside the greeting is refused', async () => {
    const found = `{"type":"connection_init","payload":{"Authorization":"Bearer ${task.phantom}"}}`
    expect((await closeOf(found)).code).toBe(4403)
  })

  it('a key that is not the task’s is refused, and the person hears of it', async () => {
    const { accountToken } = guarded.cloud
    const found = `{"type":"ping","payload":{"token":"${accountToken}"}}`
    expect((await closeOf(found)).code).toBe(4403)
    const lease = await guarded.context.store.read.lease(task.lease.id)
    const fingerprint = guarded.context.fingerprint(accountToken)
    expect(lease?.foreignCredentials).toMatchObject([{ fingerprint }])
    expect(JSON.stringify(await task.entries())).not.toContain(accountToken)
  })

  it('a question about the token is not put to the one that really goes', async () => {
    const problem = await problemOf(subscribe('query{projectToken{id}}'))
    expect(problem['detail']).toBe("the lease's token cannot be described over a websocket")
  })

  it('what cannot be recorded does not go', async () => {
    const client = await greeted()
    const full = new Error('disk full')
    const record = vi.spyOn(guarded.context.store, 'record').mockRejectedValue(full)
    try {
      client.socket.send(
        subscribe(
          `subscription{deploymentLogs(deploymentId:"${ids.webStagingDeployment}"){message}}`,
        ),
      )
      await until('there is an answer', () => client.texts.length === 2)
    } finally {
      record.mockRestore()
    }
    expect(JSON.parse(client.texts[1] ?? '').payload[0].extensions.detail).toBe(
      'the broker could not decide',
    )
    expect(front.texts).toEqual(['{"type":"connection_init"}'])
  })

  for (const [name, headers, code] of [
    ['without a credential', {}, 'credential_missing'],
    ['with a key that was found', { authorization: 'Bearer «found»' }, 'foreign_credential'],
  ] as const) {
    it(`none is opened ${name}`, async () => {
      const found = Object.entries(headers).map(([field, value]) => [
        field,
        value.replace('«found»', guarded.cloud.accountToken),
      ])
      const refused = await open(Object.fromEntries(found)).catch((error: unknown) => error)
      if (!(refused instanceof HandshakeRefused)) throw new Error('it was opened')
      expect(refused.status).toBe(403)
      expect(JSON.parse(refused.text).errors[0].extensions.code).toBe(code)
      expect(front.handshakes).toEqual([])
    })
  }

  it('the logs of its own deployment come, and the task never sees the key', async () => {
    const client = await greeted()
    const query = `subscription{deploymentLogs(deploymentId:"${ids.webStagingDeployment}"){message}}`
    client.socket.send(subscribe(`# a comment\n${query}`))
    await until('it was run', () => client.texts.length === 3)
    expect(client.texts.slice(1)).toEqual([
      '{"id":"q1","type":"next","payload":{"data":{"ran":true}}}',
      '{"id":"q1","type":"complete"}',
    ])
    expect(front.texts).toEqual(['{"type":"connection_init"}', expect.any(String)])
    expect(JSON.parse(front.texts[1] ?? '')).toEqual({
      id: 'q1',
      type: 'subscribe',
      payload: { query: expect.stringMatching(/^subscription\s*\{\s*deploymentLogs/) },
    })
    const { headers } = front.handshakes[0] ?? {}
    expect(headers?.['project-access-token']).toBe(task.minted)
    expect(headers?.['authorization']).toBeUndefined()
    expect(headers?.['sec-websocket-extensions']).toBeUndefined()
    expect(JSON.stringify([headers, front.texts])).not.toContain(task.phantom)
    const entries = await task.entries()
    expect(entries.filter(({ type }) => type === 'request.allowed')).toMatchObject([
      { data: { upgrade: 'websocket', operations: [], credential: 'minted' } },
      {
        data: {
          message: 2,
          upgrade: 'websocket',
          credential: 'minted',
          operations: [{ name: 'deploymentLogs', risk: 'read', rule: 'allow: read' }],
        },
      },
    ])
    client.socket.close()
    await client.closed
    await until('the end is written down', () => front.closes.length === 1)
  })

  it('messages that run nothing pass without what they carried, and are not written down', async () => {
    const client = await open()
    client.socket.send('{"type":"connection_init","payload":{"note":"x"}}')
    client.socket.send('{"type":"ping","payload":{"note":"x"}}')
    client.socket.send('{"id":"q1","type":"complete"}')
    await until('all arrived', () => front.texts.length === 3)
    expect(front.texts).toEqual([
      '{"type":"connection_init"}',
      '{"type":"ping"}',
      '{"id":"q1","type":"complete"}',
    ])
    expect(await ofMessages()).toEqual([])
  })

  it('the end of the lease cuts it', async () => {
    const client = await greeted()
    await revoke(guarded.context, task.lease.id, 'revoked_by_operator')
    expect((await client.closed).code).toBe(1006)
    await until('the upstream is closed', () => front.closes.length === 1)
    expect(front.closes[0]?.code).toBe(1006)
  })
})

describe('over a websocket of a task that may do everything', () => {
  beforeAll(() => start({ rule: { allow: EVERYTHING } }))
  afterAll(over)

  const upsert = (environment: string) =>
    subscribe(`mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}`, {
      i: { projectId: ids.shop, environmentId: environment, name: 'A', value: 'b' },
    })

  it('what lies in production too is refused', async () => {
    const problem = await problemOf(subscribe(`mutation{volumeDelete(volumeId:"${ids.pgdata}")}`))
    expect(problem['detail']).toContain('cannot go over a websocket')
  })

  it('a change whose place could move meanwhile is refused, also in its own environment', async () => {
    const problem = await problemOf(subscribe(`mutation{volumeDelete(volumeId:"${ids.cache}")}`))
    expect(problem).toMatchObject({ code: 'operation_denied', operation: 'volumeDelete' })
    expect(problem['next']).toBe('send it as a request of its own')
  })

  it('a change that was put aside before is not carried out', async () => {
    const problem = await problemOf(
      subscribe(`mutation{environmentPatchCommitStaged(environmentId:"${ids.staging}")}`),
    )
    expect(problem['code']).toBe('operation_denied')
  })

  it('what the credential of the connection cannot do is refused', async () => {
    const problem = await problemOf(
      subscribe('mutation($i:BucketCreateInput!){bucketCreate(input:$i){id}}', {
        i: { projectId: ids.shop, environmentId: ids.staging, name: 'x' },
      }),
    )
    expect(problem['detail']).toContain('the credential of this connection cannot do it')
  })

  it('a change in production is refused', async () => {
    expect((await problemOf(upsert(ids.production)))['code']).toBe('environment_mismatch')
  })

  it('a change in its own environment arrives, once recorded', async () => {
    const client = await greeted()
    client.socket.send(upsert(ids.staging))
    await until('it was run', () => client.texts.length === 3)
    expect(front.texts).toHaveLength(2)
    expect(await ofMessages()).toMatchObject([
      { type: 'request.allowed', data: { message: 2, operations: [{ name: 'variableUpsert' }] } },
    ])
  })
})

describe('over a websocket of a task whose changes a person approves', () => {
  beforeAll(() => start({ rule: { allow: ['read'], approve: ['variableUpsert'] } }))
  afterAll(over)

  it('they are refused, and nobody is asked', async () => {
    const problem = await problemOf(
      subscribe('mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}', {
        i: { projectId: ids.shop, environmentId: ids.staging, name: 'A', value: 'b' },
      }),
    )
    expect(problem).toMatchObject({ code: 'operation_denied', rule: 'approve: variableUpsert' })
    expect(problem['detail']).toContain('a person has to approve it first')
    const approvals = await guarded.context.store.read.approvals({ pending: false, limit: 5 })
    expect(approvals).toEqual([])
  })
})

describe('with the cloud that the demo has', () => {
  beforeAll(async () => {
    guarded = await Guarded.start({ rule: { allow: ['read'] } })
    ids = guarded.cloud.ids
  })
  afterAll(() => guarded.dispose())

  it('its own logs come over the websocket, and a deletion does not arrive', async () => {
    const { cloud } = guarded
    const world = JSON.stringify(cloud.world.volumes)
    const client = await greeted()
    client.socket.send(subscribe(`mutation{volumeDelete(volumeId:"${ids.pgdata}")}`))
    await until('it is refused', () => client.texts.length === 2)
    client.socket.send(
      subscribe(
        `subscription{deploymentLogs(deploymentId:"${ids.webStagingDeployment}"){message}}`,
      ),
    )
    await until('there are logs', () => client.texts.length === 3)
    expect(JSON.parse(client.texts[1] ?? '')).toMatchObject({ id: 'q1', type: 'error' })
    expect(JSON.parse(client.texts[2] ?? '')).toMatchObject({ id: 'q1', type: 'next' })
    const heard = cloud.record.filter(({ method }) => method === 'MESSAGE')
    expect(heard.map(({ body }) => JSON.parse(body).type)).toEqual(['connection_init', 'subscribe'])
    expect(JSON.stringify(cloud.record)).not.toContain('volumeDelete')
    expect(JSON.stringify(cloud.record)).not.toContain(task.phantom)
    expect(JSON.stringify(cloud.world.volumes)).toBe(world)
    client.socket.close()
    await client.closed
  })
})
