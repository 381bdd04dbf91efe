import type { Access } from '../access.ts'
import type { DeploymentRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'

interface OfDeployment {
  readonly deploymentId: string
}
interface OfEnvironment {
  readonly environmentId: string
  readonly filter?: string | null
}

/** The ids of a filter ("@deployment:…", "@snapshot:…"); its words and the limits narrow nothing here. */
const FILTERED = /@(?:deployment|replica|service|snapshot):([\w-]+)/g

export const logs: RootAnswers = {
  deploymentLogs: ({ deploymentId }: OfDeployment, access: Access) =>
    runLines(access.deployment(deploymentId), access),
  buildLogs: ({ deploymentId }: OfDeployment, access: Access) =>
    buildLines(access.deployment(deploymentId), access),
  environmentLogs: ({ environmentId, filter }: OfEnvironment, access: Access) => {
    const here = access.environment(environmentId).id
    const wanted = Array.from((filter ?? '').matchAll(FILTERED), ([, id]) => id)
    const found = access.world.deployments.filter(
      ({ environmentId: of, id, serviceId, status }) =>
        of === here &&
        (wanted.length > 0 ? wanted : [serviceId]).some(
          (each) => each === id || (each === serviceId && status === 'SUCCESS'),
        ),
    )
    // What is asked for by its snapshot is the build.
    const lines = filter?.includes('@snapshot:') ? buildLines : runLines
    return found.flatMap((each) => lines(each, access))
  },
}

function runLines(deployment: DeploymentRow, access: Access) {
  const started = line(deployment, `starting ${nameOf(deployment, access)}`)
  return [started, line(deployment, 'listening on 8080', 900)]
}

function buildLines(deployment: DeploymentRow, access: Access) {
  const started = line(deployment, `building ${nameOf(deployment, access)}`)
  return [started, line(deployment, 'built', 400)]
}

const nameOf = ({ serviceId }: DeploymentRow, access: Access) => access.service(serviceId).name

/** Clients take lines of the same moment for one. */
function line(deployment: DeploymentRow, message: string, afterMs = 0) {
  const { createdAt, id, serviceId, environmentId } = deployment
  const timestamp = new Date(Date.parse(createdAt) + afterMs).toISOString()
  return {
    ...{ timestamp, severity: 'info', message },
    attributes: [{ key: 'level', value: 'info' }],
    tags: { deploymentId: id, serviceId, environmentId, snapshotId: id },
  }
}
