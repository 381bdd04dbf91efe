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
  serviceInstanceRedeploy: (
    { environmentId, serviceId }: { environmentId: string; serviceId: string },
    access: Access,
  ) => {
    deploy(access, access.serviceInstance(environmentId, serviceId))
    return true
  },
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
