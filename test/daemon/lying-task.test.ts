import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Wired } from './wire.ts'

const YAML = `version: 1
environments:
  staging:
    api: { provider: jwt, audience: https://api.staging.example }
    admin: { provider: jwt, audience: https://admin.staging.example }
  production:
    api: { provider: jwt, audience: https://api.production.example }
templates:
  narrow:
    environments: [staging]
    default: true
    ttl: 10m
    maxTtl: 1h
    grants:
      api: { allow: [orders:read] }
  wide:
    environments: [staging, production]
    ttl: 4h
    grants:
      api: { allow: [orders:read, orders:write] }
  walled:
    environments: [staging]
    isolation: mask
    grants:
      api: { allow: [orders:read] }
  other:
    environments: [staging]
    grants:
      admin: { allow: [orders:read] }
`

let broker: Wired
let task: Awaited<ReturnType<Wired['issue']>>
beforeAll(async () => {
  broker = new Wired()
  await broker.prepare(YAML)
  task = await broker.issue({ template: 'narrow' })
})
afterAll(() => broker?.dispose())

const asTask = (path: string, body: unknown, method = 'POST') =>
  broker.ask({ method, path, body, bearer: task.handle })

/** What the child of a task has in its environment, and so may do with the CLI. */
const inside = () => ({ BROKER_HANDLE: task.handle, BROKER_SOCKET: broker.socket })

describe('an agent that asks for more than it has', () => {
  const wishes = [
    {
      name: 'another environment',
      wish: { environment: 'production', template: 'wide' },
      says: 'this task is for "staging", not for "production"',
    },
    {
      name: 'more operations',
      wish: { environment: 'staging', template: 'wide' },
      says: 'this task may not orders:write on "api"',
    },
    {
      name: 'another grant',
      wish: { environment: 'staging', template: 'other' },
      says: 'this task may not orders:read on "admin"',
    },
    {
      name: 'a longer time than the template gives',
      wish: { environment: 'staging', template: 'narrow', ttlMs: 2 * 3_600_000 },
      says: 'template "narrow" allows at most 1h, asked for 2h',
    },
  ]
  it.each(wishes)('gets no lease for $name', async ({ wish, says }) => {
    const answer = await asTask('/v1/leases', wish)
    expect(answer.status).toBe(403)
    expect(answer.body.error).toMatchObject({ code: 'denied', message: says })
    expect(answer.body.variables).toBeUndefined()
  })

  it.each(wishes)('gets no plan for $name', async ({ wish }) => {
    expect((await asTask('/v1/leases/plan', wish)).body.error.code).toBe('denied')
  })

  it.each(wishes)('gets no session for $name', async ({ wish }) => {
    const wire = await broker.session(task.handle)
    wire.send({ type: 'request', request: wish })
    expect(await wire.next()).toMatchObject({ type: 'error', error: { code: 'denied' } })
    expect(await wire.next()).toBeUndefined()
  })

  it('leaves each refusal on record, under its own lease', async () => {
    const { body } = await broker.ask({ path: '/v1/leases?state=all' })
    const denied = body.leases.filter((lease: { state: string }) => lease.state === 'denied')
    expect(denied).toHaveLength(wishes.length * 2)
    for (const lease of denied) {
      expect(lease).toMatchObject({ parent: task.lease.id, endReason: 'denied' })
    }
  })

  it('gets a subset of what it has, for no longer than it has it', async () => {
    const wish = { environment: 'staging', template: 'narrow', ttlMs: 3_600_000 }
    const answer = await asTask('/v1/leases', wish)
    expect(answer.status).toBe(201)
    const { lease } = answer.body
    expect(lease.parent).toBe(task.lease.id)
    expect(Date.parse(lease.expiresAt)).toBeLessThanOrEqual(Date.parse(task.lease.expiresAt))
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${lease.id}` })
  })

  it('gets nothing more by a lease inside a lease', async () => {
    const inner = await broker.issue({ template: 'narrow' }, task.handle)
    const answer = await broker.ask({
      method: 'POST',
      path: '/v1/leases',
      body: { environment: 'staging', template: 'wide' },
      bearer: inner.handle,
    })
    expect(answer.body.error.code).toBe('denied')
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${inner.lease.id}` })
  })

  it('cannot say who it is', async () => {
    for (const more of [{ principal: { kind: 'local', id: 'root' } }, { parent: null }]) {
      const answer = await asTask('/v1/leases', { environment: 'staging', ...more })
      expect(answer.body.error.code).toBe('invalid_request')
    }
  })

  it.each(['mask', 'confine'])('cannot claim isolation %s', async (isolation) => {
    const walled = { environment: 'staging', template: 'walled', isolation }
    const answer = await asTask('/v1/leases', walled)
    expect(answer.body.error).toMatchObject({
      code: 'isolation_unavailable',
      message: 'template "walled" asks for isolation "mask", the task would run at "scrub"',
    })
    // Walls may be built, but nobody is told that they stand.
    const { body } = await asTask('/v1/leases', { environment: 'staging', isolation })
    expect(body.lease.isolation).toBe('scrub')
    await broker.ask({ method: 'DELETE', path: `/v1/leases/${body.lease.id}` })
  })
})

describe('an agent that acts as a person, with the CLI', () => {
  const commands = [
    ['template', 'apply', 'FILE', '--yes'],
    ['template', 'list'],
    ['connect', 'postgres', 'mine', '--secret-stdin', '--no-check'],
    ['connections'],
    ['disconnect', 'mine'],
    ['revoke', '--all'],
    ['revoke', '--env', 'staging'],
    ['audit', 'list'],
    ['audit', 'verify'],
    ['doctor'],
    ['daemon', 'stop'],
    ['daemon', 'run'],
  ]
  it.each(commands.map((args) => ({ args, name: args.join(' ') })))(
    'is refused: $name',
    async ({ args }) => {
      const file = join(broker.folder, 'wider.yaml')
      writeFileSync(file, YAML.replaceAll('orders:read]', 'orders:read, orders:write]'))
      const words = args.map((word) => (word === 'FILE' ? file : word))
      const result = await broker.run(words, { env: inside(), input: 'postgresql://a:b@c/d' })
      expect(result.status).toBe(3)
      expect(result.err).toMatch(/^.*(a task may not do this|a task cannot run a daemon)\nhint: /)
      expect(await broker.stateOf(task.lease.id)).toBe('active')
      expect((await broker.ask({ path: '/v1/templates' })).body.configVersion).toBe(1)
    },
  )

  it('gets no task for another environment', async () => {
    const args = ['exec', '--env', 'production', '--template', 'wide', '--', 'echo', 'it ran']
    const result = await broker.run(args, { env: inside() })
    expect(result).toMatchObject({ status: 125, out: '' })
    expect(result.err).toContain('this task is for "staging", not for "production"')
  })

  it('sees its own lease and no other', async () => {
    const other = await broker.issue({ template: 'wide' })
    const { leases } = await broker.json<{ leases: { id: string }[] }>(['tokens', '--all'], {
      env: inside(),
    })
    expect(leases.map(({ id }) => id)).toEqual([task.lease.id])
    const shown = await broker.run(['audit', 'show', other.lease.id], { env: inside() })
    expect(shown.status).not.toBe(0)
    expect(shown.out).toBe('')
  })

  it('starts no daemon when there is none at its socket', async () => {
    const env = { ...inside(), BROKER_SOCKET: join(broker.folder, 'nowhere.sock') }
    const before = broker.daemons()
    expect((await broker.run(['tokens'], { env })).status).toBe(5)
    expect((await broker.run(['exec', '--env', 'staging', '--', 'true'], { env })).status).toBe(125)
    expect(broker.daemons()).toEqual(before)
  })

  it('with only half of its credential does not become the person', async () => {
    for (const half of ['BROKER_HANDLE', 'BROKER_SOCKET'] as const) {
      const env = { [half]: inside()[half] }
      expect((await broker.run(['template', 'list'], { env })).status).toBe(3)
      expect((await broker.run(['exec', '--env', 'staging', '--', 'true'], { env })).status).toBe(
        125,
      )
    }
  })
})
