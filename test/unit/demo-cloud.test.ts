import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import { account, CloudClient } from './demo-cloud-client.ts'

let cloud: Cloud
let client: CloudClient
beforeEach(async () => {
  cloud = await startCloud()
  client = new CloudClient(cloud)
})
afterEach(async () => {
  await client.close()
  await cloud.close()
})

type Ask = Parameters<CloudClient['ask']>
const ask = (query: string, variables?: Ask[2]) =>
  client.ask(account(cloud.accountToken), query, variables)
const done = async (...asked: Parameters<typeof ask>) => {
  const { errors, data } = await ask(...asked)
  expect(errors).toEqual([])
  return data
}
const PATCH = `mutation($e:String!,$p:EnvironmentConfig){environmentPatchCommit(environmentId:$e,patch:$p)}`
const volumes = () => cloud.world.volumes.map(({ name }) => name)
const running = () => cloud.world.serviceInstances.map(({ id }) => id)
/** From now on staging is a fork. */
const forked = () => {
  const staging = cloud.world.environments.find(({ id }) => id === cloud.ids.staging)
  Object.assign(staging ?? {}, { fork: true })
}
const instances = () => cloud.world.volumeInstances.map(({ id }) => id)

describe('deleting', () => {
  it.each([
    ['Volume', 'mutation{volumeDelete(volumeId:"nope")}'],
    ['Service', 'mutation{serviceDelete(id:"nope")}'],
    ['Environment', 'mutation{environmentDelete(id:"nope")}'],
    ['Project', 'mutation{projectDelete(id:"nope")}'],
    ['Deployment', 'mutation{deploymentRemove(id:"nope")}'],
    ['ProjectToken', 'mutation{projectTokenDelete(id:"nope")}'],
    ['Volume', 'mutation{environmentPatchCommit(environmentId:"STG",patch:{volumes:{nope:null}})}'],
  ])('says that a %s is not found and changes nothing', async (what, query) => {
    const before = structuredClone(cloud.world)
    const { status, errors } = await ask(query.replace('STG', cloud.ids.staging))
    expect({ status, errors }).toEqual({ status: 200, errors: [`${what} not found`] })
    expect(cloud.world).toEqual(before)
  })

  it('takes all instances of a volume and all its backups with it, in production as well', async () => {
    const before = cloud.snapshot()
    expect(before.backups).toEqual([
      'shop/production pgdata before-migration',
      'shop/production pgdata daily',
      'shop/production pgdata weekly',
    ])
    const data = await done(`mutation{volumeDelete(volumeId:"${cloud.ids.pgdata}")}`)
    expect(data).toEqual({ volumeDelete: true })
    const after = cloud.snapshot()
    expect(after.backups).toEqual([])
    expect(after.volumes).toEqual(before.volumes.filter((line) => !line.includes('pgdata')))
    expect(after.services).toEqual(before.services)
    expect(volumes()).toEqual(['cache', 'orders'])
    expect(cloud.world.backups).toHaveLength(1)
  })

  it.each([
    ['isDeleted', { isDeleted: true }],
    ['null', null],
  ])('deletes by a patch that says %s', async (_, gone) => {
    const { production, pgdata, web, api, customDomain } = cloud.ids
    const p = {
      volumes: { [pgdata]: gone },
      services: {
        [api]: gone,
        [web]: {
          variables: { LOG_LEVEL: gone },
          networking: { customDomains: { [customDomain]: gone } },
        },
      },
      sharedVariables: { REGION: gone },
    }
    await done(PATCH, { e: production, p })
    const { services, variables, volumes: left, domains } = cloud.snapshot()
    expect(services.map((line) => line.split(' {')[0])).toEqual([
      'billing/production invoices',
      'shop/production web',
    ])
    expect(variables).toHaveLength(1)
    expect(left).toHaveLength(1)
    expect(domains).toEqual(['shop/production web-production.up.railway.app:8080'])
    expect(instances()).not.toContain(cloud.ids.pgdataStaging)
    expect(cloud.world.serviceInstances.map(({ id }) => id)).toContain(cloud.ids.apiStaging)
  })

  it('does nothing of a patch of which one id is unknown', async () => {
    const before = structuredClone(cloud.world)
    const p = { services: { [cloud.ids.web]: null }, volumes: { nope: { isDeleted: true } } }
    expect((await ask(PATCH, { e: cloud.ids.production, p })).errors).toEqual(['Volume not found'])
    expect(cloud.world).toEqual(before)
  })

  it('deletes what was staged when it is committed, and not before', async () => {
    const e = cloud.ids.production
    const stage =
      'mutation($e:String!,$p:EnvironmentConfig!,$m:Boolean){environmentStageChanges(environmentId:$e,input:$p,merge:$m){status}}'
    const commit = 'mutation($e:String!){environmentPatchCommitStaged(environmentId:$e)}'
    expect((await ask(commit, { e })).errors).toEqual(['No changes to commit'])
    const first = { volumes: { [cloud.ids.orders]: { isDeleted: true } } }
    await done(stage, { e, p: first })
    const second = { services: { [cloud.ids.web]: { isDeleted: true } } }
    await done(stage, { e, p: second, m: true })
    expect(volumes()).toContain('orders')
    const staged = await done(
      'query($e:String!){environmentStagedChanges(environmentId:$e){patch(decryptVariables:true)}}',
      { e },
    )
    expect(staged).toEqual({ environmentStagedChanges: { patch: { ...first, ...second } } })
    await done(commit, { e })
    expect(volumes()).not.toContain('orders')
    expect(cloud.snapshot().services.join()).not.toContain('shop/production web')
    expect(cloud.snapshot().staged).toEqual([])
  })

  it('deletes a service everywhere where no environment is named', async () => {
    const { web, webStaging, webProduction } = cloud.ids
    await done(`mutation{serviceDelete(id:"${web}")}`)
    expect(running()).not.toContain(webStaging)
    expect(running()).not.toContain(webProduction)
    expect(cloud.world.services.map(({ name }) => name)).toEqual(['api', 'invoices'])
  })

  it('deletes a service in production as well where staging is named and is no fork', async () => {
    const { api, apiStaging, apiProduction, staging } = cloud.ids
    await done(`mutation{serviceDelete(id:"${api}",environmentId:"${staging}")}`)
    expect(running()).not.toContain(apiStaging)
    expect(running()).not.toContain(apiProduction)
    expect(cloud.snapshot().services.join()).not.toContain('shop/production api')
  })

  it('deletes a service in a fork alone, and in none by naming another environment', async () => {
    const { api, web, apiStaging, apiProduction, webStaging, webProduction } = cloud.ids
    forked()
    await done(`mutation{serviceDelete(id:"${api}",environmentId:"${cloud.ids.staging}")}`)
    expect(running()).not.toContain(apiStaging)
    expect(running()).toContain(apiProduction)
    await done(`mutation{serviceDelete(id:"${web}",environmentId:"${cloud.ids.production}")}`)
    expect(running()).not.toContain(webProduction)
    expect(running()).toContain(webStaging)
  })

  it('deletes every half of a volume whose state is set without an environment', async () => {
    const { pgdata, staging } = cloud.ids
    const half = `volumeId:"${pgdata}",environmentId:"${staging}",input:{state:DELETED}`
    await done(`mutation{volumeInstanceUpdate(${half})}`)
    expect(instances()).toContain(cloud.ids.pgdataProduction)
    expect(cloud.snapshot().backups).toHaveLength(3)
    await done(`mutation{volumeInstanceUpdate(volumeId:"${pgdata}",input:{state:DELETING})}`)
    expect(volumes()).not.toContain('pgdata')
    expect(cloud.snapshot().backups).toEqual([])
  })

  it('removes the other variables where a collection replaces, and only those', async () => {
    const { shop: projectId, staging: environmentId, web: serviceId } = cloud.ids
    const upsert = (replace: boolean, variables: Readonly<Record<string, string>>) =>
      done('mutation($i:VariableCollectionUpsertInput!){variableCollectionUpsert(input:$i)}', {
        i: { projectId, environmentId, serviceId, replace, variables },
      })
    const names = () =>
      cloud.world.variables
        .filter((row) => row.environmentId === environmentId && row.serviceId === serviceId)
        .map(({ name }) => name)
    const others = () => cloud.world.variables.filter((row) => row.serviceId !== serviceId)
    const before = structuredClone(others())
    await upsert(false, { A: '1' })
    expect(names()).toEqual(['LOG_LEVEL', 'A'])
    await upsert(true, { B: '2' })
    expect(names()).toEqual(['B'])
    expect(others()).toEqual(before)
  })

  it('takes later backups away when an earlier one is put back', async () => {
    const { pgdataProduction } = cloud.ids
    const list = `{volumeInstanceBackupList(volumeInstanceId:"${pgdataProduction}"){id name}}`
    const all = Object(await done(list)).volumeInstanceBackupList
    expect(all).toHaveLength(3)
    await done(
      `mutation{volumeInstanceBackupRestore(volumeInstanceId:"${pgdataProduction}",volumeInstanceBackupId:"${all[0].id}"){workflowId}}`,
    )
    expect(Object(await done(list)).volumeInstanceBackupList).toEqual([all[0]])
    expect(cloud.snapshot().volumes.join()).toContain(`from backup ${all[0].id}`)
    expect(cloud.world.backups).toHaveLength(2)
  })

  it('leaves nothing of an environment or of a project', async () => {
    await done(`mutation{environmentDelete(id:"${cloud.ids.production}")}`)
    expect(cloud.snapshot().environments).toEqual(['billing/production'])
    expect(JSON.stringify(cloud.world)).not.toContain(cloud.ids.production)
    await done(`mutation{projectDelete(id:"${cloud.ids.shop}")}`)
    expect(JSON.stringify(cloud.world)).not.toContain(cloud.ids.shop)
    expect(cloud.world.backups).toEqual([])
  })
})

describe('working', () => {
  it('runs the aliases of a document one after the other until one fails', async () => {
    const { pgdata, orders } = cloud.ids
    const { errors, data } = await ask(
      `mutation{a:volumeDelete(volumeId:"${pgdata}") b:volumeDelete(volumeId:"nope") c:volumeDelete(volumeId:"${orders}")}`,
    )
    expect({ errors, data }).toEqual({ errors: ['Volume not found'], data: null })
    expect(volumes()).toEqual(['cache', 'orders'])
  })

  it('clones an environment with its variables and without its data', async () => {
    const { shop: projectId, production: sourceEnvironmentId } = cloud.ids
    const data = await done(
      'mutation($i:EnvironmentCreateInput!){environmentCreate(input:$i){id name sourceEnvironment{name} variables{edges{node{name}}} volumeInstances{edges{node{currentSizeMB}}}}}',
      { i: { projectId, name: 'copy', sourceEnvironmentId } },
    )
    expect(data?.['environmentCreate']).toMatchObject({
      name: 'copy',
      sourceEnvironment: { name: 'production' },
      variables: {
        edges: ['DATABASE_URL', 'LOG_LEVEL', 'REGION'].map((name) => ({ node: { name } })),
      },
      volumeInstances: { edges: [{ node: { currentSizeMB: 0 } }, { node: { currentSizeMB: 0 } }] },
    })
    const environmentId = Object(data).environmentCreate.id
    const copied = await done(
      'query($p:String!,$e:String!,$s:String){variables(projectId:$p,environmentId:$e,serviceId:$s)}',
      { p: projectId, e: environmentId, s: cloud.ids.api },
    )
    expect(JSON.stringify(copied)).toContain('obviously-fake-production-password')
  })

  it('shows no values of variables in a configuration unless they are asked for', async () => {
    const config = (decrypt: boolean) =>
      done(`{environment(id:"${cloud.ids.production}"){config(decryptVariables:${decrypt})}}`)
    expect(JSON.stringify(await config(false))).not.toContain('obviously-fake')
    expect(JSON.stringify(await config(true))).toContain('obviously-fake-production-password')
  })

  it('puts a new deployment in the place of the running one', async () => {
    const { webStagingDeployment, webStaging } = cloud.ids
    const before = cloud.snapshot()
    const data = await done(
      `mutation{deploymentRedeploy(id:"${webStagingDeployment}"){id status environment{name} service{name}}}`,
    )
    const made = Object(data).deploymentRedeploy
    expect(made).toMatchObject({
      status: 'SUCCESS',
      environment: { name: 'staging' },
      service: { name: 'web' },
    })
    const latest = await done(
      `{environment(id:"${cloud.ids.staging}"){serviceInstances{edges{node{id serviceName latestDeployment{id} activeDeployments{id}}}}}}`,
    )
    const nodes = Object(latest).environment.serviceInstances.edges
    expect(nodes.map(({ node }: { node: object }) => node)).toContainEqual({
      id: webStaging,
      serviceName: 'web',
      latestDeployment: { id: made.id },
      activeDeployments: [{ id: made.id }],
    })
    expect(cloud.snapshot()).toEqual(before)
  })

  it.each([
    ['a fork', true, [2, 1]],
    ['no fork', false, [2, 2]],
  ])('changes the instances that an environment reaches that is %s', async (_, fork, expected) => {
    const { web, staging, webStaging, webProduction } = cloud.ids
    const update = (where: string) =>
      done(`mutation{serviceInstanceUpdate(serviceId:"${web}"${where},input:{numReplicas:2})}`)
    const replicas = (id: string) =>
      cloud.world.serviceInstances.find((row) => row.id === id)?.settings['numReplicas']
    if (fork) forked()
    await update(`,environmentId:"${staging}"`)
    expect([replicas(webStaging), replicas(webProduction)]).toEqual(expected)
    await update('')
    expect([replicas(webStaging), replicas(webProduction)]).toEqual([2, 2])
  })

  it.each([
    ['a fork', true, ['staging']],
    ['no fork', false, ['staging', 'production']],
  ])('makes a service where an environment reaches that is %s', async (_, fork, expected) => {
    if (fork) forked()
    const input = { projectId: cloud.ids.shop, environmentId: cloud.ids.staging, name: 'new' }
    const create = 'mutation($i:ServiceCreateInput!){serviceCreate(input:$i){id name}}'
    const made = Object(await done(create, { i: input })).serviceCreate
    const places = cloud.world.serviceInstances.filter(({ serviceId }) => serviceId === made.id)
    const nameOf = (place: string) => cloud.world.environments.find(({ id }) => id === place)?.name
    expect(places.map(({ environmentId }) => nameOf(environmentId))).toEqual(expected)
    expect(made.name).toBe('new')
  })

  it('pages', async () => {
    const query =
      'query($n:Int,$a:String){projects(first:$n,after:$a){edges{cursor node{name}} pageInfo{hasNextPage endCursor}}}'
    const first = Object(await done(query, { n: 1 })).projects
    expect(first).toMatchObject({
      edges: [{ node: { name: 'shop' } }],
      pageInfo: { hasNextPage: true },
    })
    const second = Object(await done(query, { n: 5, a: first.pageInfo.endCursor })).projects
    expect(second).toMatchObject({
      edges: [{ node: { name: 'billing' } }],
      pageInfo: { hasNextPage: false },
    })
  })

  it('takes telemetry and says yes', async () => {
    const input = { command: 'status', cliVersion: '5.43.1', os: 'linux', arch: 'x86_64' }
    const rest = { durationMs: 1, success: true, isCi: true }
    const data = await done('mutation($i:CliEventTrackInput!){cliEventTrack(input:$i)}', {
      i: { ...input, ...rest },
    })
    expect(data).toEqual({ cliEventTrack: true })
  })
})
