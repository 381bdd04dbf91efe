import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import type { Json, JsonObject } from '../../src/lib/json.ts'
import type { Provider } from '../../src/providers/provider.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { allowed, forwarded, refused, send, summary } from '../fixtures/railway/request.ts'
import { connectionTo, questionOf } from '../fixtures/railway/server.ts'

let cloud: Cloud
let railway: Provider

beforeEach(async () => {
  cloud = await startCloud()
  railway = createRailway()
})
afterEach(async () => {
  await railway.close?.()
  await cloud.close()
})

function stage(patch: JsonObject) {
  const at = { createdAt: '', updatedAt: '' }
  const rest = { environmentId: cloud.ids.staging, status: 'STAGED' as const, message: null }
  cloud.world.patches.push({ ...at, ...rest, id: 'staged', patch })
}

async function settle(query: string, variables: { readonly [name: string]: Json } = {}) {
  const { shop: project, staging: environment } = cloud.ids
  const question = questionOf(connectionTo(cloud, cloud.accountToken), { project, environment })
  const verdict = await railway.guard?.settle?.(allowed(send({ query, variables })), question)
  if (!verdict) throw new Error('nothing was settled')
  return verdict
}

const commit = () =>
  `mutation{done:environmentPatchCommitStaged(environmentId:"${cloud.ids.staging}")}`

describe('a commit of what was staged', () => {
  it('is not settled by a credential that may not read it', async () => {
    cloud.fail('not-authorized')
    await expect(settle(commit())).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'railway refused the token of "rail"',
    })
  })

  it('is judged by the patch that lies there, and becomes the commit of exactly that', async () => {
    stage({ volumes: { [cloud.ids.cache]: { isDeleted: true } } })
    const verdict = allowed(await settle(commit()))
    const { staging, cache } = cloud.ids
    expect(verdict.needs).toEqual([])
    expect(summary(verdict)).toEqual([
      `environmentPatchCommitStaged write environment=${staging} volume*=${cache}`,
      `environmentPatchCommitStaged:destructive destructive environment=${staging} volume*=${cache}`,
    ])
    expect(forwarded(verdict)).toMatchObject({
      query: expect.stringContaining('done:environmentPatchCommit('),
      variables: { environmentId: staging, patch: { volumes: { [cache]: { isDeleted: true } } } },
    })
  })

  it('is read with its values in clear, or they would be committed as they are shown', async () => {
    stage({ services: { [cloud.ids.api]: { variables: { A: { value: 'clear' } } } } })
    const verdict = allowed(await settle(commit()))
    expect(JSON.stringify(forwarded(verdict).variables)).toContain('"clear"')
    expect(cloud.record.at(-1)?.body).toContain('patch(decryptVariables:true)')
  })

  it('is refused where a patch cannot be understood', async () => {
    stage({ volumes: { 'no id': null } })
    expect(refused(await settle(commit())).code).toBe('request_malformed')
  })

  it('needs nothing where nothing was staged away', async () => {
    const verdict = await settle('{regions{name}}')
    expect(verdict).toEqual(allowed(send({ query: '{regions{name}}' })))
    expect(cloud.record).toEqual([])
  })
})

describe('the minted token', () => {
  const suffices = (query: string) => railway.guard?.mintedSuffices?.(allowed(send({ query })))

  it.each([
    ['a project', '{project(id:"p"){name}}'],
    ['a service of all environments', '{service(id:"s"){name}}'],
    ['the account', '{me{id}}'],
    ['nothing in particular', '{regions{name}}'],
    ['what deletes a project', 'mutation{projectDelete(id:"p")}'],
    [
      'what makes tokens',
      'mutation{projectTokenCreate(input:{projectId:"p",environmentId:"e",name:"n"})}',
    ],
    ['what deletes tokens', 'mutation{projectTokenDelete(id:"t")}'],
    [
      'a new environment',
      'mutation{environmentCreate(input:{projectId:"p",name:"n",sourceEnvironmentId:"e"}){id}}',
    ],
    ['the end of one', 'mutation{environmentDelete(id:"e")}'],
    ['a service everywhere', 'mutation{serviceDelete(id:"s")}'],
    ['a new service', 'mutation{serviceCreate(input:{projectId:"p",environmentId:"e"}){id}}'],
    ['an environment beside a project', '{environment(id:"e"){name} project(id:"p"){name}}'],
    ['deployments of all environments', '{deployments(input:{projectId:"p"}){edges{node{id}}}}'],
  ])('does not do for %s', (_, query) => {
    expect(suffices(query)).toBe(false)
  })

  it.each([
    ['an environment', '{environment(id:"e"){name}}'],
    ['its variables', '{variables(projectId:"p",environmentId:"e",serviceId:"s")}'],
    [
      'writing one',
      'mutation{variableUpsert(input:{projectId:"p",environmentId:"e",name:"n",value:"v"})}',
    ],
    ['a deployment', 'mutation{deploymentRestart(id:"d")}'],
    ['a volume', 'mutation{volumeDelete(volumeId:"v")}'],
    [
      'a volume where it is named',
      'mutation{volumeInstanceUpdate(volumeId:"v",environmentId:"e",input:{mountPath:"/d"})}',
    ],
    [
      'a service where it is named',
      'mutation{serviceInstanceRedeploy(environmentId:"e",serviceId:"s")}',
    ],
    ['both at once', '{environment(id:"e"){name} deployment(id:"d"){id}}'],
  ])('does for %s', (_, query) => {
    expect(suffices(query)).toBe(true)
  })

  it('does for an upload and not for a channel, which says nothing yet', () => {
    const classified = (path: string, method: string, headers: [string, string][]) => {
      const verdict = railway.guard?.classify({
        ...{ authority: 'backboard.railway.com', query: null, body: null },
        ...{ path, method, headers },
      })
      return verdict ? allowed(verdict) : allowed(send({ query: '' }))
    }
    const upload = classified('/project/p/environment/e/up', 'POST', [])
    expect(railway.guard?.mintedSuffices?.(upload)).toBe(true)
    const channel = classified('/graphql/v2', 'GET', [
      ['upgrade', 'websocket'],
      ['sec-websocket-protocol', 'graphql-transport-ws'],
    ])
    expect(railway.guard?.mintedSuffices?.(channel)).toBe(false)
  })
})
