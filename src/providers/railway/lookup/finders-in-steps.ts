import { textAt } from '../api/answer.ts'
import { field, readCells } from '../api/cells.ts'
import { entry, type Finder, listed, ofProject, rootList } from './finders.ts'
import type { Instance, ProjectIndex } from './project-index.ts'

/** The backups of every volume instance of an environment: no query takes a backup's id. */
export const backups: Finder = listed(
  (environment, { volumes }) =>
    volumes.filter((instance) => instance.environment.id === environment).map(backupCell),
  entry('name'),
)

export function backupCell({ id: volumeInstanceId }: Pick<Instance, 'id'>) {
  return {
    of: volumeInstanceId,
    path: [],
    field: () => `${field('volumeInstanceBackupList', { volumeInstanceId })}{id name}`,
  }
}

/** A private network's endpoints: one at most for each service, found through the networks. */
export const endpoints: Finder = {
  single: false,
  read: async (sought) => {
    const networks = await listed(
      rootList('privateNetworks', 'publicId name'),
      entry('name', 'publicId'),
    ).read(sought)
    const cells = (environment: string, { services }: ProjectIndex) => {
      const at = services.filter((instance) => instance.environment.id === environment)
      const near = networks.filter((network) => network.environment === environment)
      return near.flatMap(({ id: privateNetworkId }) =>
        at.map(({ of: serviceId }) => ({
          of: serviceId,
          path: [],
          field: () =>
            `${field('privateNetworkEndpoint', { environmentId: environment, privateNetworkId, serviceId })}{publicId dnsName}`,
        })),
      )
    }
    return listed(cells, entry('dnsName', 'publicId')).read(sought)
  },
}

/** Rules are asked for by workspace, which only the project itself tells. */
export const notificationRules: Finder = {
  single: false,
  read: async (sought) => {
    const { id } = sought.index.project
    const [found] = await readCells(sought.ask, [
      { of: id, path: [], field: () => `${field('project', { id })}{workspaceId}` },
    ])
    const workspaceId = textAt(found?.nodes[0], 'workspaceId')
    if (workspaceId === null) return []
    const rules = ofProject((projectId) => ({
      of: projectId,
      path: [],
      field: () =>
        `${field('notificationRules', { projectId, workspaceId })}{id environmentId projectId}`,
    }))
    return rules.read(sought)
  },
}
