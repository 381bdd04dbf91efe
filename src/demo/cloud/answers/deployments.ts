import type { Access } from '../access.ts'
import type { DeploymentRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'

interface ById {
  readonly id: string
}

/** A new deployment takes the place of those that run. Here it takes no time. */
export function deploy(
  { world, maker }: Access,
  { serviceId, environmentId }: { serviceId: string; environmentId: string },
): DeploymentRow {
  for (const running of world.deployments) {
    const same = running.serviceId === serviceId && running.environmentId === environmentId
    if (same && running.status === 'SUCCESS') running.status = 'REMOVED'
  }
  const deployment = { ...maker.row(), serviceId, environmentId, status: 'SUCCESS' as const }
  world.deployments.push(deployment)
  return deployment
}

export const deployments: RootAnswers = {
  deploymentRedeploy: ({ id }: ById, access: Access) => deploy(access, access.deployment(id)),
  deploymentRestart: ({ id }: ById, access: Access) => {
    access.deployment(id).updatedAt = access.maker.now().toISOString()
    return true
  },
  deploymentRemove: ({ id }: ById, access: Access) => {
    access.deployment(id).status = 'REMOVED'
    return true
  },
}
