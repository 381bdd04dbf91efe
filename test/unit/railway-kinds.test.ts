import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildClientSchema, GraphQLError, parse, validate } from 'graphql'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Provider } from '../../src/providers/provider.ts'
import { operationFacts, operationNames } from '../../src/providers/railway/catalogue/operations.ts'
import { KINDS } from '../../src/providers/railway/lookup/kinds.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { allowed, send } from '../fixtures/railway/request.ts'
import {
  connectionTo,
  questionOf,
  type Server,
  startApi,
  worldOf,
} from '../fixtures/railway/server.ts'

const P = '0a1b2c3d-0000-4000-8000-0000000000a1'
const STAGING = '0a1b2c3d-0000-4000-8000-0000000000e1'
const PRODUCTION = '0a1b2c3d-0000-4000-8000-0000000000e2'
const HIDDEN = '0a1b2c3d-0000-4000-8000-0000000000e3'

// As much of the API as the look-ups of these kinds ask for.
const SDL = `
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Named { id: ID! name: String }
type NamedEdge { node: Named! }
type NamedPage { edges: [NamedEdge!]! pageInfo: PageInfo! }
type Placed { id: ID! name: String environmentId: String }
type PlacedEdge { node: Placed! }
type PlacedPage { edges: [PlacedEdge!]! pageInfo: PageInfo! }
type Instance { id: ID! }
type Deployment { instances: [Instance!]! }
type ServiceInstance {
  id: ID! serviceId: String! serviceName: String! activeDeployments: [Deployment!]!
}
type ServiceInstanceEdge { node: ServiceInstance! }
type ServiceInstancePage { edges: [ServiceInstanceEdge!]! pageInfo: PageInfo! }
type Volume { name: String! projectId: String! }
type VolumeInstance { id: ID! volumeId: String! volume: Volume! }
type VolumeInstanceEdge { node: VolumeInstance! }
type VolumeInstancePage { edges: [VolumeInstanceEdge!]! pageInfo: PageInfo! }
type Backup { id: String! name: String }
type Environment {
  id: ID! name: String! projectId: String!
  serviceInstances(after: String): ServiceInstancePage!
  volumeInstances(after: String): VolumeInstancePage!
}
type Project {
  id: ID! name: String! workspaceId: String
  environments(after: String): NamedPage!
  buckets(after: String): NamedPage!
}
type Patch { id: ID! environmentId: String! environment: Environment! patch(decryptVariables: Boolean): String }
type Plugin { id: ID! friendlyName: String! project: Project! }
type Checkpoint { id: ID! key: String! }
type Network { publicId: String! name: String! }
type Endpoint { publicId: String! dnsName: String! }
type Sandbox { id: ID! region: String! }
type SandboxEdge { node: Sandbox! }
type SandboxPage { edges: [SandboxEdge!]! pageInfo: PageInfo! }
type Rule { id: ID! environmentId: String projectId: String }
type Notification { environmentId: String projectId: String }
type Delivery { id: ID! notificationInstance: Notification! }
type Me { workspaces: [Named!]! }
type Query {
  me: Me!
  projects(workspaceId: String, after: String): NamedPage!
  project(id: String!): Project!
  environment(id: String!, projectId: String): Environment!
  environmentPatch(id: String!): Patch!
  plugin(id: String!): Plugin!
  cloudAgents(environmentId: ID!): [Named!]!
  sandboxes(environmentId: String!, after: String): SandboxPage!
  sandboxCheckpoints(environmentId: String!): [Checkpoint!]!
  sandboxTemplateBuild(environmentId: String!, id: ID!): Placed!
  observabilityDashboards(environmentId: String!, after: String): NamedPage!
  privateNetworks(environmentId: String!): [Network!]!
  privateNetworkEndpoint(environmentId: String!, privateNetworkId: String!, serviceId: String!): Endpoint
  integrations(projectId: String!, after: String): NamedPage!
  notificationRules(projectId: String, workspaceId: String!): [Rule!]!
  notificationDelivery(id: String!): Delivery
  volumeInstanceBackupList(volumeInstanceId: String!): [Backup!]!
}
`

interface Args {
  readonly id: string
  readonly environmentId: string
  readonly after?: string
}

const notFound = () => {
  throw new GraphQLError('Thing not found')
}
const refused = () => {
  throw new GraphQLError('Not Authorized')
}
/** One node a page, so that whoever reads the first page alone misses the rest. */
function page(nodes: readonly object[], after = '0') {
  const at = Number(after)
  return {
    edges: nodes.slice(at, at + 1).map((node) => ({ node })),
    pageInfo: { hasNextPage: at + 1 < nodes.length, endCursor: String(at + 1) },
  }
}
const named = (...ids: string[]) => ids.map((id) => ({ id, name: `name of ${id}` }))
const short = (environment: string) => (environment === STAGING ? 'staging' : 'production')

function environment(id: string) {
  if (id === HIDDEN) return refused()
  if (id !== STAGING && id !== PRODUCTION) return notFound()
  const at = short(id)
  const running = [{ instances: [{ id: `run-${at}` }] }]
  return {
    id,
    name: at,
    projectId: P,
    serviceInstances: ({ after }: Args) =>
      page(
        ['web', 'api'].map((name) => ({
          id: `${name}-${at}`,
          serviceId: name,
          serviceName: name,
          activeDeployments: name === 'api' ? running : [],
        })),
        after,
      ),
    volumeInstances: ({ after }: Args) =>
      page(
        ['one', 'two', 'shared'].map((name) => ({
          id: `${name}-${at}`,
          volumeId: name === 'shared' ? name : `${name}-${at}`,
          volume: { name, projectId: P },
        })),
        after,
      ),
  }
}

/** Whether the third environment, which may not be read, is listed. */
let hidden = false

const ANSWERS = {
  me: { workspaces: named('w') },
  projects: ({ after }: Args) => page(named('elsewhere', P), after),
  project: ({ id }: Args) => {
    if (id !== P) return refused()
    const environments = [
      { id: STAGING, name: 'staging' },
      { id: PRODUCTION, name: 'production' },
      ...(hidden ? [{ id: HIDDEN, name: 'hidden' }] : []),
    ]
    return {
      id,
      name: 'shop',
      workspaceId: 'w',
      environments: ({ after }: Args) => page(environments, after),
      buckets: ({ after }: Args) => page(named('bucket-1', 'bucket-2'), after),
    }
  },
  environment: ({ id }: Args) => environment(id),
  environmentPatch: ({ id }: Args) =>
    id === 'patch'
      ? { id, environmentId: STAGING, environment: environment(STAGING) }
      : // A server that answers with something else than what was asked for.
        { id: 'other', environmentId: STAGING, environment: environment(STAGING) },
  plugin: ({ id }: Args) =>
    id === 'plugin' ? { id, friendlyName: 'redis', project: { id: P, name: 'shop' } } : notFound(),
  cloudAgents: ({ environmentId }: Args) => named(`agent-${short(environmentId)}`),
  sandboxes: ({ environmentId, after }: Args) => {
    const ids = [1, 2, 3].map((number) => `sandbox-${short(environmentId)}-${number}`)
    return page(
      ids.map((id) => ({ id, region: 'eu' })),
      after,
    )
  },
  sandboxCheckpoints: ({ environmentId }: Args) => [
    { id: `checkpoint-${short(environmentId)}`, key: 'base' },
  ],
  sandboxTemplateBuild: ({ id, environmentId }: Args) =>
    id === 'build' ? { id, environmentId } : notFound(),
  observabilityDashboards: ({ environmentId }: Args) =>
    page(named(`board-${short(environmentId)}`)),
  privateNetworks: ({ environmentId }: Args) => [
    { publicId: `net-${short(environmentId)}`, name: 'internal' },
  ],
  privateNetworkEndpoint: (args: { privateNetworkId: string; serviceId: string }) =>
    args.serviceId === 'api'
      ? { publicId: `endpoint-${args.privateNetworkId}`, dnsName: 'api' }
      : null,
  integrations: ({ after }: Args) => page(named('integration'), after),
  notificationRules: () => [
    { id: 'rule-staging', environmentId: STAGING, projectId: P },
    { id: 'rule-everywhere', environmentId: null, projectId: P },
  ],
  notificationDelivery: ({ id }: Args) =>
    id === 'delivery'
      ? { id, notificationInstance: { environmentId: STAGING, projectId: P } }
      : null,
  volumeInstanceBackupList: ({ volumeInstanceId }: { volumeInstanceId: string }) =>
    named(`backup-of-${volumeInstanceId}`),
}

let api: Server
let railway: Provider

beforeAll(async () => {
  api = await startApi(SDL, ANSWERS)
})
afterAll(() => api.close())
beforeEach(() => {
  hidden = false
  railway = createRailway()
  return () => railway.close?.()
})

const question = () => questionOf(connectionTo(api, 'token'), { project: P, environment: STAGING })

async function place(kind: string, id: string) {
  const found = await railway.guard?.locate({ kind, id }, question())
  if (!found) return 'nowhere'
  return `${found.name}: ${found.environments.map(({ name }) => name).join(', ')} of ${found.project?.name}`
}

describe('every kind of thing that requests name', () => {
  it('is known to the look-ups', () => {
    const indexed = ['project', 'volume', 'serviceInstance']
    const kinds = (['query', 'mutation', 'subscription'] as const).flatMap((kind) =>
      [...operationNames(kind)].flatMap((name) => operationFacts(kind, name)?.places ?? []),
    )
    const looked = kinds.filter(({ match }) => match !== 'none').map(({ kind }) => kind)
    const missing = new Set(looked.filter((kind) => !indexed.includes(kind) && !KINDS.has(kind)))
    expect([...missing]).toEqual([])
    expect(new Set(looked).size).toBeGreaterThan(20)
  })

  it.each([
    ['environmentPatch', 'never-asked-for'],
    ['environmentPatch', 'other-than-asked'],
    ['plugin', 'p'],
    ['cloudAgent', 'agent-hidden'],
    ['sandboxTemplateBuild', 'x'],
    ['notificationDelivery', 'x'],
    ['privateNetworkEndpoint', 'web'],
    ['volumeInstanceBackup', 'backup-of-nothing'],
  ])('is nowhere: %s %s', async (kind, id) => {
    expect(await place(kind, id)).toBe('nowhere')
  })

  it.each([
    ['environmentPatch', 'patch', 'null: staging of shop'],
    ['plugin', 'plugin', 'redis:  of shop'],
    ['cloudAgent', 'agent-staging', 'name of agent-staging: staging of shop'],
    ['cloudAgent', 'agent-production', 'name of agent-production: production of shop'],
    ['sandbox', 'sandbox-staging-3', 'eu: staging of shop'],
    ['sandbox', 'sandbox-production-2', 'eu: production of shop'],
    ['sandboxCheckpoint', 'checkpoint-production', 'base: production of shop'],
    ['sandboxTemplateBuild', 'build', 'null: staging of shop'],
    ['observabilityDashboard', 'board-production', 'null: production of shop'],
    ['privateNetwork', 'net-production', 'internal: production of shop'],
    ['privateNetworkEndpoint', 'endpoint-net-staging', 'api: staging of shop'],
    ['privateNetworkEndpoint', 'endpoint-net-production', 'api: production of shop'],
    ['bucket', 'bucket-2', 'name of bucket-2:  of shop'],
    ['integration', 'integration', 'name of integration:  of shop'],
    ['notificationRule', 'rule-staging', 'null: staging of shop'],
    ['notificationRule', 'rule-everywhere', 'null:  of shop'],
    ['notificationDelivery', 'delivery', 'null: staging of shop'],
    ['deploymentInstance', 'run-production', 'api: production of shop'],
    [
      'volumeInstanceBackup',
      'backup-of-two-staging',
      'name of backup-of-two-staging: staging of shop',
    ],
    ['volume', 'two-production', 'two: production of shop'],
    ['volume', 'shared', 'shared: staging, production of shop'],
    ['service', 'api', 'api: staging, production of shop'],
  ])('is found on whatever page it stands: %s %s', async (kind, id, expected) => {
    expect(await place(kind, id)).toBe(expected)
  })

  it('is in no known environment where one of them may not be read', async () => {
    hidden = true
    expect(await place('volume', 'shared')).toBe('shared:  of shop')
    expect(await place('volume', 'one-staging')).toBe('one:  of shop')
    expect(await place('service', 'api')).toBe('api:  of shop')
    expect(await place('project', P)).toBe('shop:  of shop')
    // What lies in one environment and is seen there is nowhere else.
    expect(await place('volumeInstance', 'one-staging')).toBe('one: staging of shop')
  })
})

const INTROSPECTION = join(import.meta.dirname, '../../../shared/facts/railway-schema.json')
const present = existsSync(INTROSPECTION)
const title = present
  ? 'the documents of the look-ups'
  : 'the documents of the look-ups (skipped: shared/facts/railway-schema.json is not there)'

describe.skipIf(!present)(title, () => {
  it('are valid in the schema of the real API, all of them', async () => {
    const ids = ['x', 'shared', 'one-staging']
    for (const kind of [...KINDS.keys(), 'volume', 'project', 'serviceInstance']) {
      for (const id of ids) await railway.guard?.locate({ kind, id }, question()).catch(() => {})
      await railway.close?.()
      railway = createRailway()
    }
    const { connection, target } = question()
    const world = worldOf()
    const wanted = {
      ...({ lease: 'lse_01hgw2bbg00000000000000000', grant: 'rail' } as const),
      ...{ environment: 'staging', operations: [], notAfter: 0, principal: 'alice', target },
    }
    const recipe = railway.plan(wanted, world.installId, connection)
    const stored = { ...connection, settings: { ...connection.settings, token: 'project' } }
    const staged = allowed(
      send({ query: `mutation{environmentPatchCommitStaged(environmentId:"${STAGING}")}` }),
    )
    const calls = [
      railway.mint(wanted, recipe, connection, world),
      railway.mint(wanted, recipe, stored, world),
      railway.revoke(recipe, { tokenId: 'x' }, connection, world),
      railway.revoke(recipe, null, connection, world),
      railway.list?.(connection, world),
      railway.check?.(connection, world),
      railway.check?.(stored, world),
      railway.guard?.settle?.(staged, question()),
      railway.narrowness?.({ target, operations: [], connection, probe: true }, world),
    ]
    await Promise.allSettled(calls)
    const { data } = JSON.parse(readFileSync(INTROSPECTION, 'utf8'))
    const schema = buildClientSchema(data, { assumeValid: true })
    const wrong = [...new Set(api.documents)].flatMap((document) =>
      validate(schema, parse(document)).map(({ message }) => `${message} in ${document}`),
    )
    expect(wrong).toEqual([])
    const all = api.documents.join(' ')
    for (const name of ['projectTokenCreate', 'projectTokenDelete', 'environmentStagedChanges']) {
      expect(all).toContain(name)
    }
    expect(new Set(api.documents).size).toBeGreaterThan(50)
  })
})
