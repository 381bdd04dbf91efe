import type { JsonObject } from '../../../lib/json.ts'
import type { Named } from '../../guard.ts'
import { objectAt, textAt } from '../api/answer.ts'
import { type Ask, type Cell, type Found, field, nodesOf, paged, readCells } from '../api/cells.ts'

/** A part of a volume or a service: what of it lies in one environment. */
export interface Instance {
  readonly id: string
  /** The volume or the service. */
  readonly of: string
  /** What people call that. */
  readonly name: string | null
  readonly environment: Named
}

/** Where the things of one project lie. */
export interface ProjectIndex {
  readonly project: Named
  readonly environments: readonly Named[]
  readonly volumes: readonly Instance[]
  readonly services: readonly Instance[]
  /** False where the credential may not read everything: then nobody knows what else there is. */
  readonly complete: boolean
}

/**
 * Reads a project and all of its environments: two documents for most. There is no query from a
 * volume to its instances that is not deprecated, so they are looked up from the environments.
 * Throws with the reason `refused` or `absent` where the credential does not reach the project.
 */
export async function readProject(ask: Ask, id: string): Promise<ProjectIndex> {
  const list = `environments${paged('id name')}`
  const data = await ask(`query{project:${field('project', { id })}{id name ${list}}}`)
  const project = objectAt(data, 'project')
  const environments = objectAt(project, 'environments')
  const nodes =
    objectAt(environments, 'pageInfo')['hasNextPage'] === false
      ? nodesOf(environments)
      : await everyEnvironment(ask, id)
  return fill(ask, {
    project: { id, name: textAt(project, 'name') },
    environments: nodes.flatMap((node) => namedOf(node)),
    complete: true,
  })
}

/**
 * What a project token sees of its project: its own environment and no other. So it is never known
 * whether a volume or a service lies in that environment alone.
 */
export async function readOwnPlace(ask: Ask): Promise<ProjectIndex> {
  const data = await ask('query{projectToken{project{id name} environment{id name}}}')
  const token = objectAt(data, 'projectToken')
  const [project] = namedOf(objectAt(token, 'project'))
  return fill(ask, {
    project: project ?? { id: '', name: null },
    environments: namedOf(objectAt(token, 'environment')),
    complete: false,
  })
}

async function everyEnvironment(ask: Ask, project: string): Promise<readonly JsonObject[]> {
  const start = field('project', { id: project })
  const [found] = await readCells(ask, [
    {
      of: project,
      path: ['environments'],
      field: (after) => `${start}{${field('environments', { after })}${paged('id name')}}`,
    },
  ])
  return found?.nodes ?? []
}

function namedOf(node: JsonObject): readonly Named[] {
  const id = textAt(node, 'id')
  return id === null ? [] : [{ id, name: textAt(node, 'name') }]
}

type Outline = Pick<ProjectIndex, 'project' | 'environments' | 'complete'>

async function fill(ask: Ask, outline: Outline): Promise<ProjectIndex> {
  const { project, environments } = outline
  const cells = environments.flatMap(({ id }) => [
    within(project.id, id, 'volumeInstances', 'id volumeId volume{name}'),
    within(project.id, id, 'serviceInstances', 'id serviceId serviceName'),
  ])
  const found = await readCells(ask, cells)
  const volumes = found.filter((_, index) => index % 2 === 0)
  const services = found.filter((_, index) => index % 2 === 1)
  return {
    project,
    environments,
    volumes: instances(volumes, environments, 'volumeId', (node) => textAt(node['volume'], 'name')),
    services: instances(services, environments, 'serviceId', (node) => textAt(node, 'serviceName')),
    complete: outline.complete && found.every(({ missing }) => missing === null),
  }
}

/** A list that hangs below an environment. */
export function within(
  project: string,
  environment: string,
  list: string,
  selection: string,
): Cell {
  return {
    of: environment,
    path: [list],
    field: (after) =>
      `${field('environment', { id: environment, projectId: project })}{${field(list, { after })}${paged(selection)}}`,
  }
}

function instances(
  found: readonly Found[],
  environments: readonly Named[],
  key: string,
  nameOf: (node: JsonObject) => string | null,
): readonly Instance[] {
  return found.flatMap(({ of: environmentId, nodes }) => {
    const environment = environments.find(({ id }) => id === environmentId)
    return nodes.flatMap((node) => {
      const [id, of] = [textAt(node, 'id'), textAt(node, key)]
      if (!environment || id === null || of === null) return []
      return [{ id, of, name: nameOf(node), environment }]
    })
  })
}
