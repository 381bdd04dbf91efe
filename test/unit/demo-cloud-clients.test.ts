import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import { account, CloudClient, project } from './demo-cloud-client.ts'

// What command lines ask for beside what the incident needs.
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

const OPERATIONS = [
  ['environmentLogs', 'query($e:String!){environmentLogs(environmentId:$e){message}}'],
  [
    'serviceDomainCreate',
    'mutation($e:String!,$s:String!){serviceDomainCreate(input:{environmentId:$e,serviceId:$s}){id}}',
  ],
  [
    'serviceInstanceDeploy',
    'mutation($e:String!,$s:String!){serviceInstanceDeploy(environmentId:$e,serviceId:$s)}',
  ],
  [
    'serviceInstanceDeployV2',
    'mutation($e:String!,$s:String!){serviceInstanceDeployV2(environmentId:$e,serviceId:$s)}',
  ],
] as const

const variables = (environment: string, query: string) => ({
  e: environment,
  ...(query.includes('$s') && { s: cloud.ids.web }),
})

describe('what a command line asks for', () => {
  it.each(OPERATIONS)('%s is refused in another environment', async (_, query) => {
    const before = structuredClone(cloud.world)
    const key = project(cloud.projectTokens.staging)
    const { errors } = await client.ask(key, query, variables(cloud.ids.production, query))
    expect(errors).toEqual(['Not Authorized'])
    expect(cloud.world).toEqual(before)
  })

  it.each(OPERATIONS)('%s is answered in its own', async (name, query) => {
    const key = project(cloud.projectTokens.staging)
    const { errors, data } = await client.ask(key, query, variables(cloud.ids.staging, query))
    expect(errors).toEqual([])
    expect(data?.[name]).toBeTruthy()
  })

  it('deploys anew, and says by what id', async () => {
    const { staging, web } = cloud.ids
    const [, query] = OPERATIONS[3]
    const { data } = await client.ask(account(cloud.accountToken), query, { e: staging, s: web })
    const newest = cloud.world.deployments.at(-1)
    expect(newest).toMatchObject({ environmentId: staging, serviceId: web, status: 'SUCCESS' })
    expect(data?.['serviceInstanceDeployV2']).toBe(newest?.id)
  })

  it('gives every domain a name of its own', async () => {
    const { staging, web } = cloud.ids
    const [, query] = OPERATIONS[1]
    for (const _ of [1, 2]) {
      await client.ask(account(cloud.accountToken), query, { e: staging, s: web })
    }
    const names = cloud.world.domains.map(({ domain }) => domain)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('web-staging-3.up.railway.app')
  })

  it('finds the lines of one deployment by what the filter names', async () => {
    const { staging, webStagingDeployment: id } = cloud.ids
    const query =
      'query($e:String!,$f:String){environmentLogs(environmentId:$e,filter:$f){message}}'
    const asked = async (filter: string | null) => {
      const key = account(cloud.accountToken)
      const { data } = await client.ask(key, query, { e: staging, f: filter })
      return data?.['environmentLogs']
    }
    const lines = (...messages: string[]) => messages.map((message) => ({ message }))
    expect(await asked(`(@snapshot:${id} OR @replica:${id})`)).toEqual(
      lines('building web', 'built'),
    )
    expect(await asked(`@deployment:${id}`)).toEqual(lines('starting web', 'listening on 8080'))
    expect(await asked(null)).toHaveLength(4)
    expect(await asked('@deployment:nope')).toEqual([])
  })
})
