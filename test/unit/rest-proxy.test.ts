import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../src/broker/acknowledge.ts'
import { connect } from '../../src/broker/connect.ts'
import { issue } from '../../src/broker/issue.ts'
import { Proxies } from '../../src/daemon/proxies.ts'
import { TaskFolders } from '../../src/daemon/tasks/folders.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createContext, OPERATOR, type TestContext } from '../fixtures/context.ts'
import { type Guarded, GuardedTask } from '../fixtures/guarded.ts'
import { providerOf, TICKETS } from './rest-fixture.ts'
import { KEY, TicketServer } from './rest-server.ts'

let server: TicketServer
let context: TestContext
let proxies: Proxies
let task: GuardedTask

/** Broker, gate, engine and upstream as they are, but for what the daemon wires. */
beforeEach(async () => {
  server = await TicketServer.start()
  const secrets = new Map<string, Secret>()
  const rule = { allow: ['read', 'write'], approve: [], deny: [] }
  context = await createContext(
    providerOf(TICKETS),
    { unconfined: true, grants: { main: rule } },
    {
      now: Date.now,
      vault: {
        status: async () => ({
          kind: 'file',
          where: 'memory',
          sealedBy: 'passphrase',
          locked: false,
        }),
        get: async (name) => secrets.get(name) ?? null,
        set: async (name, secret) => void secrets.set(name, secret),
        delete: async (name) => secrets.delete(name),
        unlock: async () => {},
      },
      onEnding: (lease) => proxies.ending(lease),
      openProxy: (order) => proxies.open(order),
    },
  )
  const policy = await context.policy()
  const main = {
    provider: 'tickets',
    connection: 'tickets-main',
    target: { workspace: 'staging-ws' },
  }
  const staging = { name: 'staging', protected: false, bindings: { main } }
  Object.assign(policy.configuration.environments, { staging })
  Object.assign(context, { policy: async () => policy })
  proxies = new Proxies(new TaskFolders(join(context.folder, 'run')), context.log)
  await connect(context, {
    provider: 'tickets',
    name: 'tickets-main',
    secret: new Secret(KEY),
    settings: { url: server.url, caFile: '/tickets.pem', ca: server.ca },
    check: true,
  })
  const issued = await issue(context, OPERATOR, { environment: 'staging' })
  await acknowledge(context, issued.lease.id, { session: false })
  task = new GuardedTask({} as Guarded, issued)
  server.asked.length = 0
})

afterEach(async () => {
  await proxies.close()
  await context.dispose()
  await server.close()
})

function send(method: string, path: string, body?: unknown, key = task.variables['TICKETS_TOKEN']) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const about = {
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(text ?? '')}`,
  }
  const headers = { authorization: `Bearer ${key}`, ...(body !== undefined && about) }
  const host = 'api.tickets.example'
  return task.send({ method, path, host, headers, ...(body === undefined ? {} : { body: text }) })
}

describe('a task with a provider of data, behind the real proxy', () => {
  it.each([
    [
      'a deletion',
      'DELETE',
      '/v1/staging-ws/tickets/17',
      undefined,
      'operation_denied',
      'tickets.delete',
    ],
    [
      'a deletion by another name',
      'POST',
      '/v1/staging-ws/actions',
      { type: 'purge' },
      'operation_denied',
      'tickets.purge',
    ],
    [
      'the same with a key twice',
      'POST',
      '/v1/staging-ws/actions',
      '{"type":"purge","type":"close"}',
      'request_malformed',
      null,
    ],
    [
      'the same in capitals',
      'POST',
      '/v1/staging-ws/actions',
      { type: 'PURGE' },
      'request_malformed',
      null,
    ],
    [
      'another environment',
      'GET',
      '/v1/production-ws/tickets',
      undefined,
      'environment_mismatch',
      'tickets.list',
    ],
    [
      'both environments',
      'GET',
      '/v1/search?ws=staging-ws&workspace=production-ws',
      undefined,
      'request_malformed',
      null,
    ],
    ['no environment', 'GET', '/v1/search?q=x', undefined, 'environment_unknown', 'search'],
    ['what is not declared', 'GET', '/v1/staging-ws/members', undefined, 'operation_denied', null],
    [
      'a body where none belongs',
      'GET',
      '/v1/staging-ws/tickets',
      { a: 1 },
      'request_too_large',
      null,
    ],
    ['an escaped slash', 'GET', '/v1/staging-ws%2Ftickets', undefined, 'request_malformed', null],
    [
      'a matrix parameter',
      'GET',
      '/v1/staging-ws/tickets;x=1',
      undefined,
      'request_malformed',
      null,
    ],
  ])('is refused %s, and nothing arrives', async (_name, method, path, body, code, operation) => {
    const { status, body: answer } = await send(method, path, body)
    expect([status, answer?.['code']]).toEqual([403, code])
    if (operation !== null) expect(answer?.['operation']).toBe(operation)
    expect(server.asked).toEqual([])
  })

  it('is refused the real key, wherever it found it', async () => {
    const { status, body } = await send('GET', '/v1/staging-ws/tickets', undefined, KEY)
    expect([status, body?.['code']]).toEqual([403, 'foreign_credential'])
    expect(server.asked).toEqual([])
  })

  it('does what it may, with the real key upstream and its own nowhere', async () => {
    const own = task.variables['TICKETS_TOKEN'] ?? ''
    expect(own).toMatch(/^tk_live_[0-9a-f]{32}$/)
    expect((await send('GET', '/v1/staging-ws/tickets?page=2')).status).toBe(200)
    expect((await send('POST', '/v1/staging-ws/tickets', '{ "title": "é" }')).status).toBe(200)
    expect((await send('POST', '/v1/staging-ws/exports/17:cancel')).status).toBe(200)
    expect((await send('GET', '/v1/me')).status).toBe(200)
    const authorization = `Bearer ${KEY}`
    expect(server.asked).toEqual([
      { line: 'GET /v1/staging-ws/tickets?page=2', authorization, body: '' },
      { line: 'POST /v1/staging-ws/tickets', authorization, body: '{"title":"é"}' },
      { line: 'POST /v1/staging-ws/exports/17:cancel', authorization, body: '' },
      { line: 'GET /v1/me', authorization, body: '' },
    ])
    expect(JSON.stringify(server.asked)).not.toContain(own)
    expect(JSON.stringify(task.variables)).not.toContain(KEY)
  })
})
