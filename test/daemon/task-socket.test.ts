import { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROUTES } from '../../src/api/routes.ts'
import { SESSION_PATH } from '../../src/api/session.ts'
import type { TaskPlaceView } from '../../src/api/types.ts'
import { until } from '../fixtures/broker.ts'
import { TOKENS_ONLY } from '../fixtures/product.ts'
import { Wire, Wired } from './wire.ts'

let broker: Wired
let task: Issued
let place: TaskPlaceView
let other: Issued

type Issued = Awaited<ReturnType<Wired['issue']>>

beforeAll(async () => {
  broker = new Wired()
  await broker.prepare(TOKENS_ONLY)
  task = await broker.issue({ isolation: 'mask' })
  place = placeOf(task)
  other = await broker.issue({ isolation: 'mask' })
})
afterAll(() => broker?.dispose())

function placeOf({ place }: Issued): TaskPlaceView {
  if (place === null) throw new Error('the lease has no place')
  return place
}

const pathOf = (path: string) => path.replace(':id', task.lease.id).replace(':name', 'x')
const onTask = (path: string, bearer: string | undefined, method = 'GET', body?: unknown) =>
  broker.ask({ socket: place.socket, path, bearer, method, body })

const routes = Object.values(ROUTES).filter(({ path }) => path !== SESSION_PATH)
const operators = routes.filter(({ caller }) => caller === 'operator')
const leases = routes.filter(
  ({ caller, path }) => caller === 'operator-or-lease' && path !== ROUTES.claimLease.path,
)
/** Of a server alone. */
const servers = [ROUTES.ready, ROUTES.metrics, ROUTES.exchange, ROUTES.claimLease]
const named = (list: readonly (typeof routes)[number][]) =>
  list.map(({ method, path }) => ({ method, path }))

describe('the socket of a task', () => {
  it.each(named([...operators, ...servers]))(
    'has no $method $path, whoever asks',
    async ({ method, path }) => {
      for (const bearer of [broker.operator, task.handle, undefined]) {
        const answer = await onTask(pathOf(path), bearer, method)
        expect([answer.status, answer.body.error.code]).toEqual([404, 'not_found'])
      }
    },
  )

  it.each(named(leases))('refuses the operator key at $method $path', async ({ method, path }) => {
    for (const [bearer, message] of [
      [broker.operator, 'this socket takes the credential of its own task alone'],
      [other.handle, 'this socket takes the credential of its own task alone'],
      ['bkh_nobody', 'this socket takes the credential of its own task alone'],
      [undefined, 'this request carries no key'],
    ] as const) {
      const answer = await onTask(pathOf(path), bearer, method, method === 'POST' ? {} : undefined)
      expect(answer.status).toBe(401)
      expect(answer.body.error).toMatchObject({ code: 'unauthorized', message })
    }
  })

  it('opens no session', async () => {
    const wire = await Wire.open(place.socket, task.handle, SESSION_PATH)
    expect(wire.status).toBe(404)
    wire.close()
    expect((await onTask('/healthz', undefined)).status).toBe(404)
    expect((await onTask('/nowhere', task.handle)).status).toBe(404)
  })

  it('lets a task ask about itself, and about nobody else', async () => {
    const { body } = await onTask('/v1/leases', task.handle)
    expect(body.leases.map(({ id }: { id: string }) => id)).toEqual([task.lease.id])
    expect(body.leases[0].isolation).toBe('mask')
    expect((await onTask(`/v1/leases/${other.lease.id}`, task.handle)).status).toBe(404)
    expect((await onTask(ROUTES.jwks.path, undefined)).status).toBe(200)
  })

  it('is known to the task by its variable, and only below no walls is it the broker’s own', async () => {
    expect(task.variables['BROKER_SOCKET']).toBe(place.socket)
    const plain = await broker.issue()
    expect(plain.place).toBeNull()
    expect(plain.variables['BROKER_SOCKET']).toBe(broker.socket)
  })

  it('is its user’s alone, and alone in its folder', () => {
    expect(lstatSync(place.socket).mode & 0o777).toBe(0o600)
    for (const folder of [place.folder, dirname(place.socket)]) {
      expect(lstatSync(folder).mode & 0o777).toBe(0o700)
    }
    expect(readdirSync(dirname(place.socket))).toEqual(['task.sock'])
    expect(place).toMatchObject({ proxySocket: null, services: [] })
  })

  it('serves the credential of a lease asked for from inside, and that one alone', async () => {
    const wish = { environment: 'staging', isolation: 'confine' }
    const answer = await onTask('/v1/leases', task.handle, 'POST', wish)
    expect(answer.status).toBe(201)
    const { lease, variables, place: inner, proxy } = answer.body
    // Whatever it says of itself, it runs behind the walls of the task that asked.
    expect(lease.isolation).toBe('mask')
    expect([inner, proxy]).toEqual([null, null])
    expect(variables.BROKER_SOCKET).toBe(place.socket)
    const own = await onTask('/v1/leases', variables.BROKER_HANDLE)
    expect(own.body.leases.map(({ id }: { id: string }) => id)).toEqual([lease.id])
    const elsewhere = await broker.ask({
      socket: placeOf(other).socket,
      path: '/v1/leases',
      bearer: variables.BROKER_HANDLE,
    })
    expect(elsewhere.status).toBe(401)
  })

  it('is gone, with its folder and its connections, when the lease is revoked', async () => {
    const { lease, handle, ...rest } = await broker.issue({ isolation: 'mask' })
    const { socket, folder } = placeOf({ lease, handle, ...rest })
    const idle = connect(socket)
    await new Promise((done) => idle.once('connect', done))
    const cut = new Promise((done) => idle.resume().once('close', done))
    await broker.must(['revoke', lease.id])
    await cut
    expect([existsSync(socket), existsSync(folder)]).toEqual([false, false])
    await expect(broker.ask({ socket, path: '/v1/leases', bearer: handle })).rejects.toMatchObject({
      code: 'ENOENT',
    })
  })

  it('comes with the lease of a session, too', async () => {
    const wire = await broker.session()
    wire.send({ type: 'request', request: { environment: 'staging', isolation: 'mask' } })
    const { lease, variables, place: ours } = await wire.next()
    expect(variables.BROKER_SOCKET).toBe(ours.socket)
    wire.send({ type: 'ack' })
    await wire.next()
    const bearer = variables.BROKER_HANDLE
    const { body } = await broker.ask({ socket: ours.socket, path: '/v1/leases', bearer })
    expect(body.leases[0].id).toBe(lease.id)
    wire.send({ type: 'end', exitCode: 0, signal: null })
    expect((await wire.next()).type).toBe('ended')
    expect(existsSync(ours.folder)).toBe(false)
  })
})

describe('a task whose daemon', () => {
  const stays = async () => {
    const again = await onTask('/v1/leases', task.handle)
    expect(again.body.leases.map(({ id }: { id: string }) => id)).toEqual([task.lease.id])
    expect((await onTask('/v1/leases', broker.operator)).status).toBe(401)
  }

  it('is killed finds the next one at the same socket, without what others left', async () => {
    const left = join(broker.home, 'run', 'tasks', 'lse_nobody')
    mkdirSync(left)
    writeFileSync(join(left, 'ca.pem'), 'stale')
    await broker.kill(broker.daemon())
    await broker.must(['daemon', 'start'])
    await stays()
    expect(existsSync(left)).toBe(false)
  })

  it('is stopped finds no socket, and the next one’s where it was', async () => {
    const folder = lstatSync(dirname(place.socket)).ino
    await broker.must(['daemon', 'stop'])
    expect(existsSync(place.socket)).toBe(false)
    await broker.must(['daemon', 'start'])
    await stays()
    // What is bound into a task is the folder: another one of its name would not be seen there.
    expect(lstatSync(dirname(place.socket)).ino).toBe(folder)
  })

  it('was away when the lease ended finds nothing', async () => {
    const brief = await broker.issue({ isolation: 'mask', ttlMs: 1500 })
    await broker.kill(broker.daemon())
    await until('its time is over', () => Date.now() > Date.parse(brief.lease.expiresAt))
    await broker.must(['daemon', 'start'])
    await until(
      'the lease has ended',
      async () => (await broker.stateOf(brief.lease.id)) === 'revoked',
    )
    expect(existsSync(placeOf(brief).folder)).toBe(false)
    await stays()
  })
})
