import { Agent, request } from 'undici'
import { startCloud } from '../../src/demo/cloud/cloud.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { type Bench, providerContract } from './provider-suite.ts'
import { startFront } from './railway-front.ts'

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

providerContract('railway', async (): Promise<Bench> => {
  const cloud = await startCloud()
  const front = await startFront(cloud)
  const agent = new Agent({ connect: { ca: cloud.ca } })
  const { ids } = cloud
  const connection = {
    name: 'railway',
    secret: new Secret(cloud.accountToken),
    settings: { url: front.url },
    ca: front.ca,
  }

  /** Past the provider and the proxy, straight to the cloud. */
  async function ask(query: string, header: string, token: string): Promise<unknown> {
    const answer = await request(`${cloud.url}/graphql/v2`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [header]: token },
      body: JSON.stringify({ query }),
      dispatcher: agent,
    })
    const { data, errors } = (await answer.body.json()) as Record<'data' | 'errors', unknown>
    if (errors) throw new Error('the cloud refused')
    return data
  }
  const variablesOf = (environment: string) =>
    `{variables(projectId:"${ids.shop}",environmentId:"${environment}")}`

  return {
    provider: createRailway(),
    connection,
    target: { project: ids.shop, environment: ids.staging },
    operations: ['variables', 'volumeDelete'],
    phantom: UUID_4,
    use: (_variables, proxied) =>
      ask(
        variablesOf(ids.staging),
        'project-access-token',
        proxied?.minted?.reveal() ?? 'nothing was minted',
      ),
    overreach: {
      'the phantom as a project token': ({ RAILWAY_TOKEN = '' }) =>
        ask(variablesOf(ids.staging), 'project-access-token', RAILWAY_TOKEN),
      'the phantom as an account token': ({ RAILWAY_TOKEN = '' }) =>
        ask('{me{id}}', 'authorization', `Bearer ${RAILWAY_TOKEN}`),
      'the minted token in another environment': (_variables, proxied) =>
        ask(variablesOf(ids.production), 'project-access-token', proxied?.minted?.reveal() ?? ''),
      'the minted token as the account': (_variables, proxied) =>
        ask('{me{id}}', 'project-access-token', proxied?.minted?.reveal() ?? ''),
    },
    leftovers: async (installId) =>
      cloud.world.projectTokens
        .map(({ name }) => name)
        .filter((name) => name.startsWith(`broker-${installId}-`)),
    hold: async () => front.hold(),
    broken: (canary) => [
      { ...connection, secret: new Secret(canary) },
      { ...connection, secret: new Secret(`${canary} with spaces`) },
      { ...connection, secret: new Secret(`${canary}\r\nx-header: 1`) },
      { ...connection, secret: new Secret(canary), settings: { url: 'https://127.0.0.1:1' } },
      { ...connection, secret: new Secret(canary), settings: { url: `https://${canary}@host` } },
      { ...connection, secret: new Secret(canary), settings: { url: cloud.url } },
      { ...connection, secret: new Secret(canary), settings: { url: front.url, token: 'project' } },
    ],
    dispose: async () => {
      await front.close()
      await agent.destroy()
      await cloud.close()
    },
  }
})
