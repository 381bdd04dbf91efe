import { once } from 'node:events'
import { connect as dial, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { revoke } from '../../src/broker/revoke.ts'
import { type Answer, Guarded, type GuardedOptions, type GuardedTask } from '../fixtures/guarded.ts'
import { firstAnswer } from './attacks/gate/send.ts'
import { until } from './world.ts'

let guarded: Guarded
afterEach(() => guarded.dispose())

/** A second is ten times what is promised; what is measured on a busy machine is not the point. */
const OUTER_MS = 5_000

async function start(options: GuardedOptions = {}): Promise<GuardedTask> {
  guarded = await Guarded.start({
    rule: { allow: ['read', 'deploymentRestart', 'up'] },
    ...options,
  })
  return guarded.issue()
}

const end = ({ lease }: GuardedTask) => revoke(guarded.context, lease.id, 'revoked_by_operator')
const restart = () => `mutation{deploymentRestart(id:"${guarded.cloud.ids.webStagingDeployment}")}`
const read = () => `{environment(id:"${guarded.cloud.ids.staging}"){id}}`

function codeOf({ body }: Answer): unknown {
  const problem = (body?.['errors'] as { extensions: { code: string } }[] | undefined)?.[0]
  return problem?.extensions.code ?? body?.['code']
}

const arrived = () =>
  guarded.cloud.record.filter(
    ({ body, headers }) =>
      !body.includes('projectToken') &&
      !headers.some(([name, value]) => name === 'user-agent' && value === 'broker'),
  )

/** The other side has ended it, in one way or another. */
const gone = (socket: Socket) =>
  new Promise<void>((closed) => {
    socket.once('end', closed).once('close', closed).resume()
  })

function head(task: GuardedTask, path: string, fields: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: backboard.railway.com\r\nproject-access-token: ${task.phantom}\r\n${fields}\r\n\r\n`
}

const uploadPath = () => {
  const { shop, staging, web } = guarded.cloud.ids
  return `/project/${shop}/environment/${staging}/up?serviceId=${web}`
}

describe('when a lease is revoked', () => {
  it('an upload under way is cut, and what had arrived of it is not carried out', async () => {
    const task = await start()
    const socket = await task.tls('backboard.railway.com')
    socket.write(`${head(task, uploadPath(), 'content-length: 1000000')}half of it`)
    await until('the upload', () => arrived().some(({ bytes }) => bytes > 0))
    const deployments = guarded.cloud.world.deployments.length
    const closed = gone(socket)
    const started = performance.now()
    const ending = end(task)
    await closed
    expect(performance.now() - started).toBeLessThan(OUTER_MS)
    await ending
    expect(arrived()).toMatchObject([{ complete: false }])
    expect(guarded.cloud.world.uploads).toEqual([])
    expect(guarded.cloud.world.deployments).toHaveLength(deployments)
    await guarded.proxies.close()
    const ended = (await task.entries()).filter(({ type }) => type === 'request.ended')
    expect(ended).toMatchObject([{ data: { end: 'lease_ended', status: null } }])
  })

  it('a connection that is kept is cut, and no new one is taken', async () => {
    const task = await start()
    const kept = await task.tls('backboard.railway.com')
    const idle = await task.plain()
    const all = [kept, idle].map((socket) => gone(socket))
    await end(task)
    await Promise.all(all)
    const late = dial({ host: '127.0.0.1', port: task.port })
    const [error] = await once(late, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    expect(arrived()).toEqual([])
  })

  it('a request whose place is being looked up never leaves', async () => {
    const task = await start()
    guarded.cloud.fail('hang')
    const before = guarded.cloud.record.length
    const waiting = task.graphql(restart())
    await until('the look-up', () => guarded.cloud.record.length > before)
    guarded.cloud.fail('off')
    await end(task)
    expect(codeOf(await waiting)).toBe('lease_ended')
    expect(arrived()).toEqual([])
  })

  it('a request that waits for its answer is told so', async () => {
    const task = await start()
    // What is asked of places is known from here on.
    expect((await task.graphql(restart())).status).toBe(200)
    guarded.cloud.fail('hang')
    const waiting = task.graphql(read())
    await until('the request upstream', () => arrived().length === 2)
    guarded.cloud.fail('off')
    await end(task)
    expect(codeOf(await waiting)).toBe('lease_ended')
  })

  it('its phantom is worth nothing at any other lease, and a new lease has another one', async () => {
    const task = await start()
    await end(task)
    const next = await guarded.issue()
    expect(next.phantom).not.toBe(task.phantom)
    const stale = { authorization: `Bearer ${task.phantom}` }
    expect(codeOf(await next.graphql(read(), {}, stale))).toBe('foreign_credential')
    expect((await next.graphql(read())).status).toBe(200)
  })

  it('its key is deleted upstream', async () => {
    const task = await start()
    const key = task.minted
    expect(key).not.toBe('')
    await end(task)
    expect(guarded.cloud.world.projectTokens.map(({ token }) => token)).not.toContain(key)
  })
})

describe('a listener that outlives its lease', () => {
  const leftOpen = { onEnding: () => {} }

  it('lets nothing through any more: the record of the decision would come after the end', async () => {
    const task = await start({ context: leftOpen })
    expect((await task.graphql(restart())).status).toBe(200)
    await end(task)
    const before = arrived().length
    for (const query of [read(), restart()]) {
      expect(codeOf(await task.graphql(query))).toBe('lease_ended')
    }
    const answer = await task.send({
      ...{ method: 'POST', path: uploadPath(), body: 'a tree' },
      headers: { 'project-access-token': task.phantom },
    })
    expect(codeOf(answer)).toBe('lease_ended')
    expect(arrived()).toHaveLength(before)
  })

  it('lets nothing through when only the clock says that it is over', async () => {
    let ahead = 0
    const task = await start({ context: { now: () => Date.now() + ahead } })
    expect((await task.graphql(read())).status).toBe(200)
    ahead = task.lease.expiresAt - Date.now()
    expect(codeOf(await task.graphql(read()))).toBe('lease_ended')
    expect(arrived()).toHaveLength(1)
  })
})

describe('when the broker goes away', () => {
  it('what is under way is cut, and nothing goes out unjudged', async () => {
    const task = await start()
    const socket = await task.tls('backboard.railway.com')
    socket.write(`${head(task, uploadPath(), 'content-length: 1000000')}half of it`)
    await until('the upload', () => arrived().length === 1)
    const closed = gone(socket)
    await guarded.proxies.close()
    await closed
    expect(arrived()).toMatchObject([{ complete: false }])
    expect(guarded.cloud.world.uploads).toEqual([])
  })
})

describe('when something fails', () => {
  it('a provider that is down is a refusal of its own kind', async () => {
    const task = await start()
    guarded.cloud.fail('down')
    const unknown = await task.graphql(restart())
    expect(unknown.status).toBe(502)
    expect(codeOf(unknown)).toBe('upstream_failed')
    const sent = await task.graphql(read())
    expect(sent.status).toBe(502)
    expect(codeOf(sent)).toBe('upstream_failed')
  })

  it('a provider that answers nothing of use lets nothing pass that depends on it', async () => {
    const task = await start()
    for (const mode of ['500', 'not-authorized', 'lost'] as const) {
      guarded.cloud.fail(mode)
      const before = arrived().length
      const answer = await task.graphql(restart())
      expect([mode, answer.status, codeOf(answer)]).toEqual([mode, 502, 'upstream_failed'])
      expect(arrived()).toHaveLength(before)
    }
  })

  it('an allowance that is used up is no way around the look-up', async () => {
    const task = await start()
    guarded.cloud.limit(0)
    const answer = await task.graphql(restart())
    expect(codeOf(answer)).toBe('upstream_failed')
    expect(arrived()).toEqual([])
  })

  it('a decision that cannot be written down is a refusal, and nothing leaves', async () => {
    const task = await start()
    const { store } = guarded.context
    const write = () => Promise.reject(new Error('the disk is full'))
    Object.assign(guarded.context, { store: { read: store.read, write } })
    const answer = await task.graphql(read())
    Object.assign(guarded.context, { store })
    expect(codeOf(answer)).toBe('operation_denied')
    expect(answer.text).not.toContain('disk')
    expect(arrived()).toEqual([])
  })

  it('a body that never comes to its end is nothing', async () => {
    const task = await start()
    const socket = await task.tls('backboard.railway.com')
    const type = 'content-type: application/json\r\ncontent-length: 500'
    socket.write(`${head(task, '/graphql/v2', type)}{"query":"mutation{`)
    socket.end()
    const answer = await firstAnswer(socket)
    expect(answer === undefined || answer.status === 403).toBe(true)
    expect(arrived()).toEqual([])
  })

  it('a second request that is sent before the first is answered is not judged beside it', async () => {
    const task = await start()
    const body = JSON.stringify({ query: read() })
    const type = `content-type: application/json\r\ncontent-length: ${body.length}`
    const one = `${head(task, '/graphql/v2', type)}${body}`
    const wipe = JSON.stringify({
      query: `mutation{projectDelete(id:"${guarded.cloud.ids.shop}")}`,
    })
    const two = `${head(task, '/graphql/v2', `content-type: application/json\r\ncontent-length: ${wipe.length}`)}${wipe}`
    const socket = await task.secure('backboard.railway.com:443', { ALPNProtocols: ['http/1.1'] })
    socket.write(one + two)
    await gone(socket)
    expect(arrived().filter(({ body: sent }) => sent.includes('projectDelete'))).toEqual([])
    expect(guarded.cloud.world.projects.some(({ name }) => name === 'shop')).toBe(true)
  })
})
