import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import type { Question } from '../../src/providers/guard.ts'
import type { Provider } from '../../src/providers/provider.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { connectionTo, questionOf, worldOf } from '../fixtures/railway/server.ts'

let cloud: Cloud
let railway: Provider

beforeAll(async () => {
  cloud = await startCloud()
})
afterAll(() => cloud.close())
beforeEach(() => {
  railway = createRailway()
})
afterEach(() => railway.close?.())

const target = () => ({ project: cloud.ids.shop, environment: cloud.ids.staging })
const account = () => connectionTo(cloud, cloud.accountToken)
const project = () => connectionTo(cloud, cloud.projectTokens.staging, { token: 'project' })

async function locate(kind: string, id: string, changes: Partial<Question> = {}) {
  const guard = railway.guard
  if (!guard) throw new Error('no guard')
  return guard.locate({ kind, id }, { ...questionOf(account(), target()), ...changes })
}

const names = (list: readonly { readonly name: string | null }[] = []) =>
  list.map(({ name }) => name).sort()
/** What a person would be shown: "pgdata in production, staging of shop". */
async function place(...args: Parameters<typeof locate>) {
  const found = await locate(...args)
  if (!found) return 'nowhere'
  const at = names(found.environments).join(', ')
  return `${found.name} in ${at || 'no known environment'} of ${found.project?.name}`
}

const sent = (part: string) => cloud.record.filter(({ body }) => body.includes(part)).length

describe('where something lies', () => {
  it('is nowhere for kinds and ids that nobody knows', async () => {
    expect(await locate('volume', 'no-such-volume')).toBeNull()
    expect(await locate('template', cloud.ids.web)).toBeNull()
    expect(await locate('workspace', cloud.ids.workspace)).toBeNull()
    expect(await locate('constructor', 'prototype')).toBeNull()
    for (const kind of ['deployment', 'service', 'environment', 'project', 'volumeInstance']) {
      expect(await locate(kind, '00000000-0000-4000-8000-000000000000'), kind).toBeNull()
    }
  })

  it('is every environment for a volume that several of them share', async () => {
    const found = await locate('volume', cloud.ids.pgdata, { fresh: true })
    expect(found).toEqual({
      name: 'pgdata',
      environments: expect.arrayContaining([
        { id: cloud.ids.staging, name: 'staging' },
        { id: cloud.ids.production, name: 'production' },
      ]),
      project: { id: cloud.ids.shop, name: 'shop' },
      notes: ['3 backups go with it'],
    })
    expect(found?.environments).toHaveLength(2)
  })

  it('is one environment for what lies in one', async () => {
    expect(await locate('volume', cloud.ids.cache)).toEqual({
      name: 'cache',
      environments: [{ id: cloud.ids.staging, name: 'staging' }],
      project: { id: cloud.ids.shop, name: 'shop' },
      notes: ['1 backup goes with it'],
    })
    const { ids } = cloud
    expect(await place('volume', ids.orders)).toBe('orders in production of shop')
    expect(await place('volumeInstance', ids.pgdataStaging)).toBe('pgdata in staging of shop')
    expect(await place('volumeInstance', ids.pgdataProduction)).toBe('pgdata in production of shop')
    expect(await place('serviceInstance', ids.webProduction)).toBe('web in production of shop')
    expect(await place('deployment', ids.webStagingDeployment)).toBe('web in staging of shop')
    expect(await place('customDomain', ids.customDomain)).toBe('shop.example in production of shop')
    expect(await place('environment', ids.staging)).toBe('staging in staging of shop')
    expect(await place('projectToken', ids.productionToken)).toBe(
      'ci-production in production of shop',
    )
    for (const domain of cloud.world.domains.filter(({ kind }) => kind !== 'custom')) {
      const at = domain.environmentId === ids.staging ? 'staging' : 'production'
      const kind = domain.kind === 'tcp' ? 'tcpProxy' : 'serviceDomain'
      expect(await place(kind, domain.id)).toBe(`${domain.domain} in ${at} of shop`)
      // A domain of one kind is none of the other.
      expect(await place('customDomain', domain.id)).toBe('nowhere')
    }
    for (const trigger of cloud.world.deploymentTriggers) {
      const at = trigger.environmentId === ids.staging ? 'staging' : 'production'
      expect(await place('deploymentTrigger', trigger.id)).toBe(`shop/web in ${at} of shop`)
    }
    const [backup] = cloud.world.backups
    const instance = backup?.volumeInstanceId === ids.cacheStaging ? 'staging' : 'production'
    expect(await place('volumeInstanceBackup', backup?.id ?? '')).toBe(
      `${backup?.name} in ${instance} of shop`,
    )
  })

  it('is everywhere for what spans environments', async () => {
    expect(await place('service', cloud.ids.web)).toBe('web in production, staging of shop')
    expect(await locate('project', cloud.ids.shop)).toMatchObject({
      name: 'shop',
      environments: [{ name: 'staging' }, { name: 'production' }],
      notes: ['2 environments'],
    })
    expect(await locate('environment', cloud.ids.production)).toMatchObject({
      notes: ['holds 2 volumes and 2 services'],
    })
  })

  it('is told with names for other projects too', async () => {
    const { ids } = cloud
    expect(await place('project', ids.billing)).toBe('billing in production of billing')
    expect(await place('service', ids.invoices)).toBe('invoices in no known environment of billing')
    expect(await place('environment', ids.billingProduction)).toBe(
      'production in production of billing',
    )
    const [deployment] = cloud.world.deployments.filter(
      ({ environmentId }) => environmentId === ids.billingProduction,
    )
    expect(await place('deployment', deployment?.id ?? '')).toBe('null in production of billing')
    const inverse = { project: ids.billing, environment: ids.billingProduction }
    expect(await place('volume', ids.pgdata, questionOf(account(), inverse))).toBe(
      'pgdata in production, staging of shop',
    )
  })

  it('is not known for what several share, where the credential sees one environment alone', async () => {
    const own = { connection: project() }
    const shared = await locate('volume', cloud.ids.pgdata, own)
    expect(shared).toMatchObject({
      name: 'pgdata',
      environments: [],
      notes: expect.arrayContaining([
        'other environments may hold a part of it that this connection cannot see',
      ]),
    })
    expect(await place('volume', cloud.ids.cache, own)).toBe(
      'cache in no known environment of shop',
    )
    expect(await place('service', cloud.ids.web, own)).toBe('web in no known environment of shop')
    expect(await place('project', cloud.ids.shop, own)).toBe('shop in no known environment of shop')
    expect(await place('volumeInstance', cloud.ids.pgdataProduction, own)).toBe('nowhere')
    expect(await place('volumeInstance', cloud.ids.pgdataStaging, own)).toBe(
      'pgdata in staging of shop',
    )
    expect(await place('environment', cloud.ids.production, own)).toBe('nowhere')
  })

  it('is a failure, not nowhere, for a credential that is refused', async () => {
    const dead = connectionTo(cloud, 'no-such-token')
    await expect(locate('deployment', 'x', { connection: dead })).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'railway refused the token of "rail"',
    })
    const elsewhere = { ...target(), project: cloud.ids.billing }
    await expect(
      locate('volume', cloud.ids.pgdata, questionOf(project(), elsewhere)),
    ).rejects.toMatchObject({ code: 'provider_failed' })
  })
})

describe('a look-up', () => {
  it('is made anew for every question that something irrevocable depends on', async () => {
    await locate('volume', cloud.ids.cache)
    const row = cloud.world.volumeInstances.find(({ id }) => id === cloud.ids.cacheStaging)
    if (!row) throw new Error('no such row')
    const there = { ...row, id: 'cache-production', environmentId: cloud.ids.production }
    cloud.world.volumeInstances.push(there)
    try {
      expect(await place('volume', cloud.ids.cache)).toBe('cache in staging of shop')
      expect(await place('volume', cloud.ids.cache, { fresh: true })).toBe(
        'cache in production, staging of shop',
      )
    } finally {
      cloud.world.volumeInstances.pop()
    }
  })

  it('is remembered, and shared by those who ask at once', async () => {
    const before = cloud.record.length
    await Promise.all(
      Array.from({ length: 20 }, () => locate('volumeInstance', cloud.ids.pgdataStaging)),
    )
    // The project, its environments, the backups.
    expect(cloud.record.length - before).toBe(3)
    await locate('volumeInstance', cloud.ids.pgdataStaging)
    await locate('service', cloud.ids.web)
    expect(cloud.record.length - before).toBe(3)
  })

  it('finds what is newer than what is remembered', async () => {
    const { world, ids } = cloud
    await locate('service', ids.web)
    await locate('tcpProxy', 'nothing')
    const at = { createdAt: '', updatedAt: '' }
    const service = { ...at, id: 'new-service', name: 'worker', projectId: ids.shop }
    const instance = {
      ...at,
      id: 'new-instance',
      serviceId: service.id,
      environmentId: ids.staging,
    }
    const volume = { ...at, id: 'new-volume', name: 'fresh', projectId: ids.shop }
    world.services.push(service)
    world.serviceInstances.push({ ...instance, settings: {} })
    world.volumes.push(volume)
    const [mount] = world.volumeInstances
    if (!mount) throw new Error('no volumes')
    const place_ = { environmentId: ids.staging, volumeId: volume.id, serviceId: service.id }
    world.volumeInstances.push({ ...mount, ...place_, id: 'new-mount' })
    const tcp = { kind: 'tcp' as const, domain: 'tcp.example', port: 1 }
    world.domains.push({ ...instance, ...tcp, id: 'new-proxy' })
    expect(await place('tcpProxy', 'new-proxy')).toBe('tcp.example in staging of shop')
    await railway.close?.()
    railway = createRailway()
    await locate('environment', ids.staging)
    world.domains.pop()
    expect(await place('service', 'new-service')).toBe('worker in staging of shop')
    expect(await place('volume', 'new-volume')).toBe('fresh in staging of shop')
    world.volumeInstances.pop()
    world.volumes.pop()
    world.serviceInstances.pop()
    world.services.pop()
  })

  it('does not follow an agent that invents ids', async () => {
    await locate('volume', cloud.ids.cache)
    const invented = Array.from({ length: 11 }, (_, index) => `invented-${index}`)
    const results: unknown[] = []
    for (const id of invented) results.push(await locate('volume', id).catch((error) => error))
    expect(results.slice(0, 10)).toEqual(Array(10).fill(null))
    expect(results[10]).toMatchObject({
      code: 'provider_unavailable',
      message: 'too many ids were asked for that railway does not know, by "rail"',
    })
    expect(await place('volume', cloud.ids.cache)).toBe('cache in staging of shop')
  })

  it('carries the stored credential in its own header and follows the chosen address', async () => {
    const before = cloud.record.length
    await locate('environment', cloud.ids.staging)
    await locate('environment', cloud.ids.staging, { connection: project() })
    const headers = cloud.record.slice(before).map(({ headers: pairs }) => new Map(pairs))
    expect(headers[0]?.get('authorization')).toBe(`Bearer ${cloud.accountToken}`)
    expect(headers[0]?.has('project-access-token')).toBe(false)
    expect(headers.at(-1)?.get('project-access-token')).toBe(cloud.projectTokens.staging)
    expect(headers.at(-1)?.has('authorization')).toBe(false)
  })

  it('is not shared between credentials', async () => {
    expect(await place('volume', cloud.ids.cache)).toBe('cache in staging of shop')
    const dead = connectionTo(cloud, 'no-such-token')
    await expect(locate('volume', cloud.ids.cache, { connection: dead })).rejects.toMatchObject({
      code: 'provider_failed',
    })
  })

  it('ends with its question, not with others that wait for it', async () => {
    cloud.fail('hang')
    const abort = new AbortController()
    const world = worldOf({ signal: abort.signal })
    const leaving = locate('volume', cloud.ids.cache, { world })
    abort.abort()
    await expect(leaving).rejects.toMatchObject({ code: 'provider_unavailable' })
    cloud.fail('off')
    const other = createRailway()
    await other.close?.()
  })
})

describe('the rate limit', () => {
  it('stops look-ups until it is over, without asking', async () => {
    const clock = { now: Date.now() }
    const world = worldOf({ now: () => clock.now })
    cloud.limit(2)
    // Two calls are left: the project and its environments; the backups are one too many.
    expect(await locate('volume', cloud.ids.cache, { world })).toMatchObject({
      notes: ['its backups could not be counted; they go with it'],
    })
    const before = cloud.record.length
    await expect(locate('volume', cloud.ids.cache, { world, fresh: true })).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'railway\'s rate limit of "rail" is used up',
      hint: expect.stringMatching(/it may be asked again at \d{4}-/),
      details: { until: expect.any(String) },
    })
    expect(cloud.record.length).toBe(before)
    expect(await place('volume', cloud.ids.cache, { world })).toBe('cache in staging of shop')
    cloud.limit(10_000)
    clock.now += 3_600_001
    expect(await place('volume', cloud.ids.cache, { world, fresh: true })).toBe(
      'cache in staging of shop',
    )
  })

  it('is learned from a refusal too', async () => {
    cloud.limit(0)
    const before = cloud.record.length
    for (const fresh of [true, true]) {
      await expect(locate('volume', cloud.ids.cache, { fresh })).rejects.toMatchObject({
        code: 'provider_unavailable',
        message: 'railway\'s rate limit of "rail" is used up',
      })
    }
    expect(cloud.record.length - before).toBe(1)
    cloud.limit(10_000)
    expect(sent('mutation')).toBe(0)
  })
})
