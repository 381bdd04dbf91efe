import { request } from 'node:https'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import { account, CloudClient, project } from './demo-cloud-client.ts'

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

const VARIABLES = `query($p:String!,$e:String!,$s:String){
  variables(projectId:$p,environmentId:$e,serviceId:$s)
}`
const everything = () => structuredClone(cloud.world)

describe('who may do what', () => {
  it('keeps the variables of production from a project token of staging', async () => {
    const { shop, staging, production, api } = cloud.ids
    const key = project(cloud.projectTokens.staging)
    const theirs = await client.ask(key, VARIABLES, { p: shop, e: production, s: api })
    expect(theirs).toMatchObject({ status: 200, data: null, errors: ['Not Authorized'] })
    const own = await client.ask(key, VARIABLES, { p: shop, e: staging, s: api })
    expect(own.errors).toEqual([])
    expect(own.data?.['variables']).toEqual({
      DATABASE_URL:
        'postgresql://shop:obviously-fake-staging-password@db.staging.internal:5432/shop',
    })
  })

  it.each([
    ['no credential', () => ({})],
    ['a token that nobody has', () => account('00000000-0000-4000-8000-000000000000')],
    ['an account token as a project token', () => project(cloud.accountToken)],
    ['a project token as an account token', () => account(cloud.projectTokens.production)],
  ])('refuses %s and changes nothing', async (_, credential) => {
    const before = everything()
    const { pgdata } = cloud.ids
    const answered = await client.ask(credential(), `mutation{volumeDelete(volumeId:"${pgdata}")}`)
    expect(answered).toMatchObject({ status: 200, data: null, errors: ['Not Authorized'] })
    expect(cloud.world).toEqual(before)
    expect(cloud.record.at(-1)?.authorised).toBeNull()
  })

  it.each([
    ['a volume of production', (i: Cloud['ids']) => `volumeDelete(volumeId:"${i.orders}")`],
    [
      'a volume shared with production',
      (i: Cloud['ids']) => `volumeDelete(volumeId:"${i.pgdata}")`,
    ],
    ['a service everywhere', (i: Cloud['ids']) => `serviceDelete(id:"${i.web}")`],
    [
      'a service in production',
      (i: Cloud['ids']) => `serviceDelete(id:"${i.web}",environmentId:"${i.production}")`,
    ],
    [
      'a service in staging, which is no fork',
      (i: Cloud['ids']) => `serviceDelete(id:"${i.web}",environmentId:"${i.staging}")`,
    ],
    [
      'the replicas of one by way of staging',
      (i: Cloud['ids']) =>
        `serviceInstanceUpdate(serviceId:"${i.web}",environmentId:"${i.staging}",input:{numReplicas:9})`,
    ],
    [
      'a new service by way of staging',
      (i: Cloud['ids']) =>
        `serviceCreate(input:{projectId:"${i.shop}",environmentId:"${i.staging}"}){id}`,
    ],
    [
      'the production half of a shared volume',
      (i: Cloud['ids']) =>
        `volumeInstanceUpdate(volumeId:"${i.pgdata}",environmentId:"${i.production}",input:{state:DELETED})`,
    ],
    [
      'both halves of a shared volume',
      (i: Cloud['ids']) => `volumeInstanceUpdate(volumeId:"${i.pgdata}",input:{serviceId:null})`,
    ],
    [
      'a backup in production',
      (i: Cloud['ids']) =>
        `volumeInstanceBackupCreate(volumeInstanceId:"${i.ordersProduction}"){workflowId}`,
    ],
    ['production', (i: Cloud['ids']) => `environmentDelete(id:"${i.production}")`],
    ['its own environment', (i: Cloud['ids']) => `environmentDelete(id:"${i.staging}")`],
    ['its project', (i: Cloud['ids']) => `projectDelete(id:"${i.shop}")`],
    ['another project', (i: Cloud['ids']) => `projectDelete(id:"${i.billing}")`],
    [
      'tokens',
      (i: Cloud['ids']) =>
        `projectTokenCreate(input:{projectId:"${i.shop}",environmentId:"${i.staging}",name:"n"})`,
    ],
    ['account tokens', () => 'apiTokenCreate(input:{name:"n"})'],
    [
      'a deployment of production',
      (i: Cloud['ids']) => `deploymentRemove(id:"${i.webProductionDeployment}")`,
    ],
    [
      'a clone of production',
      (i: Cloud['ids']) =>
        `environmentCreate(input:{projectId:"${i.shop}",name:"n",sourceEnvironmentId:"${i.production}"}){id}`,
    ],
  ])('refuses a project token of staging that touches %s', async (_, field) => {
    const before = everything()
    const key = project(cloud.projectTokens.staging)
    const answered = await client.ask(key, `mutation{${field(cloud.ids)}}`)
    expect(answered.errors).toEqual(['Not Authorized'])
    expect(cloud.world).toEqual(before)
  })

  it.each([
    ['deletes', { isDeleted: true }],
    ['nulls', null],
  ])('refuses a project token a patch that %s a shared volume', async (_, gone) => {
    const before = structuredClone(cloud.world)
    const { errors } = await client.ask(
      project(cloud.projectTokens.staging),
      'mutation($e:String!,$p:EnvironmentConfig){environmentPatchCommit(environmentId:$e,patch:$p)}',
      { e: cloud.ids.staging, p: { volumes: { [cloud.ids.pgdata]: gone } } },
    )
    expect(errors).toEqual(['Not Authorized'])
    expect(cloud.world).toEqual(before)
  })

  it('shows a project token only its own environment, by whatever way it comes', async () => {
    const { shop, staging, web, pgdataStaging } = cloud.ids
    const { data, errors } = await client.ask(
      project(cloud.projectTokens.staging),
      `query($p:String!,$w:String!,$v:String!){
        projectToken{name project{id} environment{id}}
        project(id:$p){environments{edges{node{id}}} volumes{edges{node{name}}}}
        service(id:$w){serviceInstances{edges{node{environmentId}}}}
        volumeInstance(id:$v){volume{volumeInstances{edges{node{environmentId}}}}}
        deployments(input:{}){edges{node{environmentId}}}
      }`,
      { p: shop, w: web, v: pgdataStaging },
    )
    expect(errors).toEqual([])
    expect(data?.['projectToken']).toEqual({
      name: 'ci-staging',
      project: { id: shop },
      environment: { id: staging },
    })
    const shown = JSON.stringify(data)
    expect(shown).toContain('cache')
    expect(shown).not.toContain('orders')
    expect(shown).not.toContain(cloud.ids.production)
    expect(shown.match(new RegExp(staging, 'g'))?.length).toBe(6)
  })

  it('lets a project token delete what is shared where the cloud is told to', async () => {
    const lenient = await startCloud({ projectTokens: 'shared' })
    const other = new CloudClient(lenient)
    const key = project(lenient.projectTokens.staging)
    await other.ask(key, `mutation{volumeDelete(volumeId:"${lenient.ids.pgdata}")}`)
    expect(lenient.world.volumes.map(({ name }) => name)).toEqual(['cache', 'orders'])
    const theirs = await other.ask(key, `mutation{volumeDelete(volumeId:"${lenient.ids.orders}")}`)
    expect(theirs.errors).toEqual(['Not Authorized'])
    expect(lenient.world.volumes).toHaveLength(2)
    await other.close()
    await lenient.close()
  })

  it('takes the credential that may do more where both came', async () => {
    const both = { ...project(cloud.projectTokens.staging), ...account(cloud.accountToken) }
    const { data } = await client.ask(both, '{me{email}}')
    expect(data).toEqual({ me: { email: 'founder@shop.example' } })
    expect(cloud.record.at(-1)?.authorised).toBe('account token custom-domains')
  })

  it('asks for the token again when the body is there', async () => {
    const { shop, staging, web } = cloud.ids
    const path = `/project/${shop}/environment/${staging}/up?serviceId=${web}`
    const headers = project(cloud.projectTokens.staging)
    const options = { method: 'POST', headers, ca: cloud.ca, agent: false as const }
    const status = new Promise<number | undefined>((resolve) => {
      const upload = request(cloud.url + path, options, (response) => {
        resolve(response.statusCode)
        response.resume()
      })
      upload.write('half')
      void expect
        .poll(() => cloud.record[0]?.bytes)
        .toBe(4)
        .then(() => {
          cloud.world.projectTokens.splice(0)
          upload.end()
        })
    })
    expect(await status).toBe(401)
    expect(cloud.record[0]?.authorised).toBe('project token ci-staging')
    expect(cloud.world.uploads).toEqual([])
  })

  it('does not know a token any more once it is deleted', async () => {
    const key = account(cloud.accountToken)
    const { shop, staging } = cloud.ids
    const input = { projectId: shop, environmentId: staging, name: 'broker-x' }
    const made = await client.ask(
      key,
      'mutation($i:ProjectTokenCreateInput!){projectTokenCreate(input:$i)}',
      { i: input },
    )
    const secret = String(made.data?.['projectTokenCreate'])
    expect(secret).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const own = await client.ask(project(secret), '{projectToken{id name displayToken}}')
    const row = cloud.world.projectTokens.at(-1)
    expect(own.data?.['projectToken']).toMatchObject({ id: row?.id, name: 'broker-x' })
    expect(JSON.stringify(own.data)).not.toContain(secret)
    await client.ask(key, 'mutation($id:String!){projectTokenDelete(id:$id)}', {
      id: String(row?.id),
    })
    const after = await client.ask(project(secret), '{projectToken{id}}')
    expect(after.errors).toEqual(['Not Authorized'])
  })
})

describe('the certificate', () => {
  const shake = (options: { ca?: string; servername?: string }) =>
    new Promise<string>((resolve) => {
      const port = Number(new URL(cloud.url).port)
      const socket = connect({ host: '127.0.0.1', port, ...options }, () => {
        resolve(socket.authorized ? 'verified' : 'unverified')
        socket.destroy()
      })
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })

  it('is trusted by nobody who was not told to', async () => {
    expect(await shake({})).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    const other = await startCloud()
    expect(await shake({ ca: other.ca })).not.toBe('verified')
    await other.close()
  })

  it('is good for no other name', async () => {
    expect(await shake({ ca: cloud.ca, servername: 'railway.com' })).toBe(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    )
  })

  it.each(['localhost', 'backboard.railway.com', 'backboard.railway.app'])(
    'verifies for %s',
    async (servername) => {
      expect(await shake({ ca: cloud.ca, servername })).toBe('verified')
    },
  )

  it('verifies for the address itself', async () => {
    expect(await shake({ ca: cloud.ca })).toBe('verified')
  })
})
