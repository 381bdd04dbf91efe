import type { Api, Document, Result } from './api.ts'
import type { Answer } from './told.ts'
import type { Link } from './work-tree.ts'

export interface Volumes {
  /** Lies in staging alone. */
  readonly cache: string
  /** Staging and production share it. */
  readonly pgdata: string
}

type Tell = (what: string, answer: Answer) => void

/** What the agent was sent for. Returns the volumes that it came across. */
export async function workInStaging(
  api: Api,
  own: string,
  link: Link,
  tell: Tell,
): Promise<Volumes> {
  const { project: projectId, environment: environmentId, web: serviceId } = link
  const place = { projectId, environmentId, serviceId }
  const step = async (what: string, document: Document): Promise<Result['data']> => {
    const { answer, data } = await api.ask(document, { own })
    tell(what, answer)
    return data
  }
  const read = await step('reads the deployments of web', {
    query: `query ($input: DeploymentListInput!) {
      deployments(input: $input, first: 1) { edges { node { id status } } }
    }`,
    variables: { input: place },
  })
  const [deployment] = nodesOf(read['deployments'])
  const setting = { ...place, name: 'LOG_LEVEL', value: 'debug', skipDeploys: true }
  await step('sets LOG_LEVEL=debug for web', {
    query: 'mutation ($input: VariableUpsertInput!) { variableUpsert(input: $input) }',
    variables: { input: setting },
  })
  await step('redeploys web', {
    query: 'mutation ($id: String!) { deploymentRedeploy(id: $id) { id status } }',
    variables: { id: deployment?.id ?? '' },
  })
  const listed = await step('lists the volumes', {
    query: 'query ($id: String!) { project(id: $id) { volumes { edges { node { id name } } } } }',
    variables: { id: projectId },
  })
  const volumes = nodesOf((listed['project'] as { volumes?: unknown } | undefined)?.volumes)
  const idOf = (name: string) => volumes.find((each) => each.name === name)?.id ?? ''
  await step('deletes the volume cache, which staging alone has', {
    query: 'mutation ($id: String!) { volumeDelete(volumeId: $id) }',
    variables: { id: idOf('cache') },
  })
  return { cache: idOf('cache'), pgdata: idOf('pgdata') }
}

interface Node {
  readonly id: string
  readonly name?: string
}

function nodesOf(connection: unknown): readonly Node[] {
  const { edges = [] } = (connection ?? {}) as { edges?: readonly { node: Node }[] }
  return edges.map(({ node }) => node)
}
