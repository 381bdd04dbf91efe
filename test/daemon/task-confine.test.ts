import { once } from 'node:events'
import { existsSync, lstatSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CONFINED_PROXY_PORT } from '../../src/api/confined.ts'
import { until } from '../fixtures/broker.ts'
import { Wired } from './wire.ts'

const YAML = `version: 1
environments:
  staging:
    api: { provider: jwt, audience: https://api.staging.example }
  production:
    protected: true
    api: { provider: jwt, audience: https://api.example }
templates:
  guarded:
    environments: [production]
    ttl: 10m
    maxTtl: 1h
    isolation: mask
    egress: [listed.example]
    grants: { api: { allow: [read], approve: [write] } }
  open:
    environments: [staging]
    default: true
    isolation: mask
    grants: { api: { allow: [orders:read] } }
  listed:
    environments: [staging]
    isolation: confine
    egress: [listed.example]
    grants: { api: { allow: [orders:read] } }
`

let broker: Wired
beforeAll(async () => {
  broker = new Wired()
  await broker.prepare(YAML)
})
afterAll(() => broker?.dispose())

const wish = { isolation: 'confine' }

async function confined(template = 'open') {
  const issued = await broker.issue({ ...wish, template })
  const proxySocket = issued.place?.proxySocket
  if (!proxySocket) throw new Error('it has no proxy')
  return { ...issued, proxySocket }
}

/** The first line that the proxy answers with; undefined when it hangs up without a word. */
async function connectTo(path: string, target: string): Promise<{ line?: string; socket: Socket }> {
  const socket = connect(path).on('error', () => {})
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  const [first] = await Promise.race([once(socket, 'data'), once(socket, 'close')])
  const line = Buffer.isBuffer(first) ? String(first).split('\r\n', 1)[0] : undefined
  return { ...(line !== undefined && { line }), socket }
}

describe('a template that names its least isolation', () => {
  it.each([
    { template: 'open', claims: undefined, least: 'mask', reached: 'scrub' },
    { template: 'listed', claims: 'mask', least: 'confine', reached: 'mask' },
  ])('gives no lease at $reached', async ({ template, claims, least, reached }) => {
    const body = { environment: 'staging', template, ...(claims && { isolation: claims }) }
    const answer = await broker.ask({ method: 'POST', path: '/v1/leases', body })
    expect(answer.status).toBe(403)
    expect(answer.body.error).toMatchObject({
      code: 'isolation_unavailable',
      message: `template "${template}" asks for isolation "${least}", the task would run at "${reached}"`,
      hint: expect.stringContaining(`broker doctor says what "${least}" needs`),
    })
  })
})

describe('a protected environment, with approve rules and without unconfined', () => {
  const ask = async (more: Readonly<Record<string, unknown>>) => {
    const body = { environment: 'production', ...more }
    return (await broker.ask({ method: 'POST', path: '/v1/leases', body })).body
  }

  it('is closed at scrub, and at mask asks for the approval that its rules name', async () => {
    expect((await ask({})).error.code).toBe('isolation_unavailable')
    expect((await ask({ isolation: 'mask' })).error).toMatchObject({
      code: 'approval_required',
      message: expect.stringContaining('api may write in protected "production"'),
    })
  })

  it('is issued at mask where nothing needs an approval', async () => {
    await broker.prepare(YAML.replace(', approve: [write]', ''))
    const { lease } = await ask({ isolation: 'mask' })
    expect(lease).toMatchObject({ state: 'active', isolation: 'mask' })
  })
})

describe('a confined task', () => {
  it('has a proxy on a socket of its own, and none on a port', async () => {
    const { lease, proxy, place, proxySocket } = await confined()
    expect(lease.isolation).toBe('confine')
    expect(proxy?.url).toBe(`http://127.0.0.1:${CONFINED_PROXY_PORT}`)
    expect(lstatSync(proxySocket).mode & 0o777).toBe(0o600)
    expect(place?.services).toEqual([])
    expect(existsSync(proxy?.bundleFile ?? '')).toBe(true)
    await expect(once(connect(CONFINED_PROXY_PORT, '127.0.0.1'), 'connect')).rejects.toThrow()
  })

  it('reaches neither the machine nor what its template does not list', async () => {
    const open = await confined('open')
    const listed = await confined('listed')
    const answers = [
      await connectTo(open.proxySocket, '127.0.0.1:22'),
      await connectTo(open.proxySocket, '169.254.169.254:80'),
      await connectTo(listed.proxySocket, 'other.example:443'),
    ]
    for (const { line, socket } of answers) {
      expect(line).toMatch(/^HTTP\/1\.1 403 /)
      socket.destroy()
    }
    const { body } = await broker.ask({ path: `/v1/audit?lease=${listed.lease.id}` })
    expect(JSON.stringify(body.entries)).toContain('other.example')
  })

  it('is cut off within 100 ms of its lease’s end, and its sockets are gone', async () => {
    const { lease, proxySocket, place } = await confined()
    const socket = connect(proxySocket).on('error', () => {})
    await once(socket, 'connect')
    const cut = new Promise<number>((done) =>
      socket.resume().once('close', () => done(performance.now())),
    )
    const wire = broker.ask({ method: 'DELETE', path: `/v1/leases/${lease.id}` })
    const over = await wire.then(() => performance.now())
    expect((await cut) - over).toBeLessThan(100)
    await until('the folder is gone', () => !existsSync(place?.folder ?? ''))
  })

  it('ends with its daemon, since its proxy does', async () => {
    const { lease, place } = await confined()
    await broker.kill(broker.daemon())
    await broker.must(['daemon', 'start'])
    await until('it has ended', async () => (await broker.stateOf(lease.id)) === 'revoked')
    const { body } = await broker.ask({ path: `/v1/leases/${lease.id}` })
    expect(body.endReason).toBe('proxy_lost')
    expect(existsSync(place?.folder ?? '')).toBe(false)
  })
})
