import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BIN } from '../fixtures/broker.ts'
import { TOKENS_ONLY } from '../fixtures/product.ts'
import { Wired } from './wire.ts'

let broker: Wired
beforeAll(async () => {
  broker = new Wired()
  // The most careless of callers: what the broker makes must be private all the same.
  const start = 'umask 000; exec "$0" "$1" daemon start'
  execFileSync('/bin/sh', ['-c', start, process.execPath, BIN], { env: broker.env() })
  await broker.prepare(TOKENS_ONLY)
  await broker.must(['exec', '--env', 'staging', '--', 'true'])
})
afterAll(() => broker?.dispose())

const live = async () => (await broker.ask({ path: '/v1/leases' })).body.leases.length

describe('files and folders', () => {
  it('are the owner’s alone, whatever the umask of who started the daemon', () => {
    const found = readdirSync(broker.home, { recursive: true, withFileTypes: true })
    // What a compiler cache holds is made by Node itself; its folder is closed.
    const ours = found.filter(({ parentPath }) => !parentPath.includes('/state/compile-cache'))
    const open = ours
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => (lstatSync(path).mode & 0o077) !== 0)
    expect(open).toEqual([])
    expect(ours.length).toBeGreaterThan(8)
  })

  it.each(['config', 'state', 'run', 'state/compile-cache'])('%s is 0700', (folder) => {
    expect(lstatSync(join(broker.home, folder)).mode & 0o7777).toBe(0o700)
  })

  it.each([
    'config/operator.key',
    'config/broker.yaml',
    'state/broker.sqlite',
    'state/daemon.log',
    'state/daemon.lock',
    'run/daemon.pid',
    'run/broker.sock',
  ])('%s is 0600', (file) => {
    expect(lstatSync(join(broker.home, file)).mode & 0o7777).toBe(0o600)
  })
})

describe('a request that is none of ours', () => {
  const nowhere = [
    ['GET', '/'],
    ['GET', '/v1'],
    ['GET', '/v1/secrets'],
    ['PUT', '/v1/daemon'],
    ['HEAD', '/healthz'],
    ['OPTIONS', '/v1/leases'],
    ['TRACE', '/healthz'],
    ['GET', '/v1/daemon/'],
    ['GET', '//v1/daemon'],
    ['GET', '/V1/daemon'],
    ['GET', '/v1/x/../daemon'],
    ['GET', '/v1/%64aemon/x'],
    ['POST', '/v1/leases/../daemon/stop'],
  ] as const
  it.each(nowhere)('%s %s is not found', async (method, path) => {
    const answer = await broker.ask({ method, path })
    expect(answer.status).toBe(404)
    if (method === 'HEAD') return
    expect(answer.type).toMatch(/^application\/problem\+json/)
    expect(answer.body).toMatchObject({
      type: 'urn:broker:error:not_found',
      status: 404,
      error: { code: 'not_found', message: 'there is no such route' },
    })
  })

  const broken = [
    { name: 'no JSON', body: '{' },
    { name: 'nothing', body: '' },
    { name: 'null', body: 'null' },
    { name: 'a list', body: '[]' },
    { name: 'a number', body: '7' },
    { name: 'a prototype', body: '{"__proto__":{"environment":"staging"}}' },
    { name: 'a key we do not know', body: '{"environment":"staging","principal":"root"}' },
    { name: 'a wrong type', body: '{"environment":["staging"]}' },
    { name: 'a ttl of nothing', body: '{"environment":"staging","ttlMs":0}' },
    { name: 'a ttl that is none', body: '{"environment":"staging","ttlMs":1e99}' },
    { name: 'a ttl of a fraction', body: '{"environment":"staging","ttlMs":0.5}' },
    { name: 'a long reason', body: `{"environment":"staging","reason":"${'x'.repeat(8193)}"}` },
  ]
  it.each(broken)('with a body of $name gets no lease', async ({ body }) => {
    const answer = await broker.ask({ method: 'POST', path: '/v1/leases', body })
    expect(answer.status).toBe(400)
    expect(answer.body.error.code).toBe('invalid_request')
    expect(answer.text.length).toBeLessThan(1000)
    expect(await live()).toBe(0)
  })

  it('with a body of 3 MB is refused or hung up on, and gets no lease', async () => {
    const body = JSON.stringify({ environment: 'staging', reason: 'x'.repeat(3 * 1024 * 1024) })
    const ask = broker.ask({ method: 'POST', path: '/v1/leases', body })
    // The refusal may be cut off by our own bytes that nobody reads any more.
    const status = await ask.then(({ status }) => status).catch((error) => error.code)
    expect([400, 'EPIPE', 'ECONNRESET']).toContain(status)
    expect(await live()).toBe(0)
  })

  it('with a body of another kind gets no lease', async () => {
    const headers = { 'content-type': 'text/plain' }
    const ask = { method: 'POST', path: '/v1/leases', body: '{"environment":"staging"}', headers }
    expect((await broker.ask(ask)).status).toBe(400)
    expect(await live()).toBe(0)
  })

  const queries = ['limit=0', 'limit=-1', 'limit=1001', 'limit=x', 'state=dead', 'unknown=1']
  it.each(queries)('GET /v1/leases?%s is refused', async (query) => {
    const answer = await broker.ask({ path: `/v1/leases?${query}` })
    expect(answer.status).toBe(400)
    expect(answer.body.error.code).toBe('invalid_request')
  })

  it.each(['lse_', 'x', "' or 1=1 --", '%00', '..%2f..'])(
    'the lease "%s" is not there',
    async (id) => {
      const answer = await broker.ask({ path: `/v1/leases/${encodeURIComponent(id)}` })
      expect(answer.status).toBe(404)
      const gone = await broker.ask({
        method: 'DELETE',
        path: `/v1/leases/${encodeURIComponent(id)}`,
      })
      expect(gone.status).toBe(404)
    },
  )

  const nothingChosen = [
    {},
    { all: false },
    { ids: [] },
    { environment: '' },
    { all: true, ids: ['x'] },
  ]
  it.each(nothingChosen)('a revocation of %j means nothing, never everything', async (body) => {
    const { lease } = await broker.issue()
    const answer = await broker.ask({ method: 'POST', path: '/v1/leases/revoke', body })
    expect(answer.status).toBe(400)
    expect(await broker.stateOf(lease.id)).toBe('active')
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${lease.id}` })
  })

  it('that is no HTTP is hung up on, and the daemon goes on', async () => {
    for (const bytes of [
      '\u0000\u0001\u0002\r\n\r\n',
      'GET\r\n\r\n',
      `GET /${'x'.repeat(100_000)}`,
    ]) {
      const socket = connect(broker.socket)
      socket.on('error', () => {})
      socket.resume()
      socket.write(bytes)
      await new Promise((resolve) => socket.once('close', resolve))
    }
    expect((await broker.ask({ path: '/healthz' })).status).toBe(200)
  })
})

describe('an Idempotency-Key', () => {
  let count = 0
  const post = (body: object, key: string, bearer = broker.operator) =>
    broker.ask({
      method: 'POST',
      path: '/v1/leases',
      body,
      bearer,
      headers: { 'idempotency-key': key },
    })
  const STAGING = { environment: 'staging' }
  const fresh = () => `key-${++count}`
  const ack = (id: string) => broker.ask({ method: 'POST', path: `/v1/leases/${id}/ack` })
  const end = () => broker.ask({ method: 'POST', path: '/v1/leases/revoke', body: { all: true } })

  it('with another request is refused', async () => {
    const key = fresh()
    await post(STAGING, key)
    const answer = await post({ ...STAGING, reason: 'another' }, key)
    expect(answer.status).toBe(409)
    expect(answer.body.error).toMatchObject({
      code: 'conflict',
      message: 'this Idempotency-Key was already used by another request',
    })
    expect(await live()).toBe(1)
    await end()
  })

  it('is refused once its lease was acknowledged', async () => {
    const key = fresh()
    const { id } = (await post(STAGING, key)).body.lease
    expect((await ack(id)).status).toBe(200)
    const answer = await post(STAGING, key)
    expect(answer.status).toBe(409)
    expect(answer.body.error.message).toContain(`"${id}"`)
    expect(await broker.stateOf(id)).toBe('active')
    await end()
    expect((await post(STAGING, key)).status).toBe(409)
  })

  it('again, after an answer that was lost, gives one new lease and ends the first', async () => {
    const key = fresh()
    const first = (await post(STAGING, key)).body
    const second = (await post(STAGING, key)).body
    expect(second.lease.id).not.toBe(first.lease.id)
    expect(second.variables.BROKER_ACCESS_TOKEN).not.toBe(first.variables.BROKER_ACCESS_TOKEN)
    const { body } = await broker.ask({ path: `/v1/leases/${first.lease.id}` })
    expect(body).toMatchObject({ state: 'revoked', endReason: 'not_acknowledged' })
    expect((await ack(first.lease.id)).status).toBe(410)
    expect(await live()).toBe(1)
    await end()
  })

  it('ten times at once leaves one lease', async () => {
    const key = fresh()
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(STAGING, key)))
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(201))
    expect(await live()).toBe(1)
    await end()
  })

  it('belongs to who sent it: a task’s does not touch the person’s', async () => {
    const key = fresh()
    const first = (await post(STAGING, key)).body
    await ack(first.lease.id)
    const nested = await post(STAGING, key, first.variables.BROKER_HANDLE)
    expect(nested.status).toBe(201)
    expect(nested.body.lease.parent).toBe(first.lease.id)
    await end()
  })

  it('is not needed: two requests without one are two leases', async () => {
    await broker.issue()
    await broker.issue()
    expect(await live()).toBe(2)
    await end()
  })
})
