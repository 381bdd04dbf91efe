import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import type { Json } from '../../src/lib/json.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { allowed, request, send } from '../fixtures/railway/request.ts'
import { connectionTo, questionOf } from '../fixtures/railway/server.ts'

const railway = createRailway()
const { guard } = railway
let cloud: Cloud

beforeAll(async () => {
  cloud = await startCloud()
})
afterAll(async () => {
  await railway.close?.()
  await cloud.close()
})

function ask(query: string, variables: { readonly [name: string]: Json } = {}) {
  const { shop: project, staging: environment } = cloud.ids
  const classified = allowed(send({ query, variables }))
  const question = questionOf(connectionTo(cloud, cloud.accountToken), { project, environment })
  return guard?.answer?.(request(''), classified, question) ?? Promise.resolve(null)
}

const dataOf = async (query: string, variables = {}) =>
  JSON.parse((await ask(query, variables)) ?? '').data

describe('a question about the own token', () => {
  it.each([
    [
      'a field of the token that is not known',
      '{projectToken{id displayToken}}',
      'with "ProjectToken.displayToken"',
    ],
    ['a field of the project', '{projectToken{project{id updatedAt}}}', 'with "Project.updatedAt"'],
    [
      'a way out of the environment',
      '{projectToken{environment{sourceEnvironment{id}}}}',
      'with "Environment.sourceEnvironment"',
    ],
    ['something beside it', '{projectToken{id} regions{name}}', 'beside "regions"'],
    [
      'something beside it in a fragment',
      '{projectToken{id} ...A} fragment A on Query{regions{name}}',
      'beside "regions"',
    ],
  ])('is refused with %s', async (_, query, where) => {
    await expect(ask(query)).rejects.toMatchObject({
      code: 'denied',
      message: `the lease's token cannot be described ${where}`,
      hint: expect.stringContaining('project(id)'),
    })
    expect(cloud.record).toEqual([])
  })

  it('is refused over a websocket', async () => {
    const payload = { query: '{projectToken{id}}' }
    const verdict = guard?.classifyMessage?.(
      JSON.stringify({ id: '1', type: 'subscribe', payload }),
    )
    if (verdict?.outcome !== 'classified') throw new Error('refused')
    const { shop: project, staging: environment } = cloud.ids
    const question = questionOf(connectionTo(cloud, cloud.accountToken), { project, environment })
    await expect(guard?.answer?.(request(''), verdict, question)).rejects.toMatchObject({
      message: "the lease's token cannot be described over a websocket",
    })
  })

  it.each([
    '{me{id}}',
    '{regions{name}}',
    '{projectTokens(projectId:"p"){edges{node{name}}}}',
    '{environment(id:"e"){name}}',
  ])('is not %s', async (query) => {
    expect(await ask(query)).toBeNull()
  })

  it('is answered with the ids without asking anybody', async () => {
    const before = cloud.record.length
    const { projectToken } = await dataOf(
      '{projectToken{id name projectId environmentId createdAt project{id} environment{id projectId}}}',
    )
    const { shop, staging } = cloud.ids
    expect(projectToken).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      name: 'broker',
      projectId: shop,
      environmentId: staging,
      createdAt: expect.stringMatching(/^\d{4}-/),
      project: { id: shop },
      environment: { id: staging, projectId: shop },
    })
    expect(cloud.record.length).toBe(before)
  })

  it('is answered with the names, as the command line asks for them', async () => {
    const query = 'query ProjectToken{projectToken{project{id name} environment{id name}}}'
    const { shop, staging } = cloud.ids
    expect(await dataOf(query)).toEqual({
      projectToken: {
        project: { id: shop, name: 'shop' },
        environment: { id: staging, name: 'staging' },
      },
    })
  })

  it('honours aliases, fragments, conditions and type names', async () => {
    const query = `query Q($no: Boolean!, $yes: Boolean = true) {
      constructor: __typename
      mine: projectToken {
        __typename
        at: projectId @skip(if: $no)
        gone: name @skip(if: $yes)
        kept: name @include(if: $yes)
        lost: name @include(if: $no)
        ...Place
        ... on ProjectToken { project { toString: name } }
      }
    }
    fragment Place on ProjectToken { project { id ...Name } }
    fragment Name on Project { __typename }`
    const data = await dataOf(query, { no: false })
    expect(data).toEqual({
      constructor: 'Query',
      mine: {
        __typename: 'ProjectToken',
        at: cloud.ids.shop,
        kept: 'broker',
        project: { id: cloud.ids.shop, __typename: 'Project', toString: 'shop' },
      },
    })
    expect(Object.keys(data.mine)).toEqual(['__typename', 'at', 'kept', 'project'])
  })
})
