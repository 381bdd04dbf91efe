import type { JsonObject } from '../../../lib/json.ts'
import type { Access } from '../access.ts'
import { removeService } from '../removal.ts'
import type { ServiceRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'
import { deploy } from './deployments.ts'

interface Update {
  readonly serviceId: string
  readonly environmentId?: string | null
  readonly input: JsonObject
}

interface Create {
  readonly projectId: string
  readonly environmentId?: string | null
  readonly name?: string | null
  readonly source?: JsonObject | null
}

interface OneInstance {
  readonly environmentId: string
  readonly serviceId: string
}

const redeploy = ({ environmentId, serviceId }: OneInstance, access: Access) =>
  deploy(access, access.serviceInstance(environmentId, serviceId))

/** Made where the environment that is named reaches; in all there are where none is. */
function create({ projectId, environmentId, name, source }: Create, access: Access): ServiceRow {
  const { world, maker } = access
  const project = access.project(projectId)
  if (environmentId) access.environment(environmentId, projectId)
  const places = environmentId
    ? access.reachedBy(environmentId)
    : world.environments.filter((each) => each.projectId === project.id)
  access.all(places.map(({ id }) => ({ environmentId: id })))
  const row = maker.row()
  const service = { ...row, projectId: project.id, name: name ?? row.id }
  world.services.push(service)
  for (const { id } of places) {
    const settings = source ? { source } : {}
    world.serviceInstances.push({
      ...maker.row(),
      ...{ serviceId: row.id, environmentId: id, settings },
    })
  }
  return service
}

export const services: RootAnswers = {
  serviceCreate: ({ input }: { input: Create }, access: Access) => create(input, access),
  serviceDelete: (
    { id, environmentId }: { id: string; environmentId?: string | null },
    access: Access,
  ) => {
    const instances = access.reachedInstances(id, environmentId || null)
    for (const instance of instances) removeService(access.world, id, instance.environmentId)
    // One that ran nowhere is gone as well.
    if (instances.length === 0) removeService(access.world, id, null)
    return true
  },
  serviceInstanceRedeploy: (args: OneInstance, access: Access) => !!redeploy(args, access),
  serviceInstanceDeploy: (args: OneInstance, access: Access) => !!redeploy(args, access),
  // Answers with the id of the deployment.
  serviceInstanceDeployV2: (args: OneInstance, access: Access) => redeploy(args, access).id,
  serviceInstanceUpdate: ({ serviceId, environmentId, input }: Update, access: Access) => {
    for (const instance of access.reachedInstances(serviceId, environmentId || null)) {
      instance.settings = { ...instance.settings, ...input }
      instance.updatedAt = access.maker.now().toISOString()
    }
    return true
  },
}
