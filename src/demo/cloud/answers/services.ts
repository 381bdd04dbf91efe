import type { JsonObject } from '../../../lib/json.ts'
import type { Access } from '../access.ts'
import { removeService } from '../removal.ts'
import type { RootAnswers } from './answer.ts'
import { deploy } from './deployments.ts'

interface Update {
  readonly serviceId: string
  readonly environmentId?: string | null
  readonly input: JsonObject
}

interface OneInstance {
  readonly environmentId: string
  readonly serviceId: string
}

const redeploy = ({ environmentId, serviceId }: OneInstance, access: Access) =>
  deploy(access, access.serviceInstance(environmentId, serviceId))

export const services: RootAnswers = {
  // Without an environment the service goes from all of them.
  serviceDelete: (
    { id, environmentId }: { id: string; environmentId?: string | null },
    access: Access,
  ) => {
    if (environmentId) access.serviceInstance(environmentId, id)
    else access.wholeService(id)
    removeService(access.world, id, environmentId ?? null)
    return true
  },
  serviceInstanceRedeploy: (args: OneInstance, access: Access) => !!redeploy(args, access),
  serviceInstanceDeploy: (args: OneInstance, access: Access) => !!redeploy(args, access),
  // Answers with the id of the deployment.
  serviceInstanceDeployV2: (args: OneInstance, access: Access) => redeploy(args, access).id,
  serviceInstanceUpdate: ({ serviceId, environmentId, input }: Update, access: Access) => {
    const instances = environmentId
      ? [access.serviceInstance(environmentId, serviceId)]
      : access.instancesOf(access.wholeService(serviceId).id)
    for (const instance of instances) {
      instance.settings = { ...instance.settings, ...input }
      instance.updatedAt = access.maker.now().toISOString()
    }
    return true
  },
}
