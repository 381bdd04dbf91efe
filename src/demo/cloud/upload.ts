import { GraphQLError } from 'graphql'
import type { Access } from './access.ts'
import { deploy } from './answers/deployments.ts'
import type { Reply } from './reply.ts'

const PATH = /^\/project\/([^/?]+)\/environment\/([^/?]+)\/up(?:\?(.*))?$/

/** Where an upload goes; null where the path is none. */
export function uploadTarget(path: string) {
  const [, projectId, environmentId, query] = PATH.exec(path) ?? []
  if (projectId === undefined || environmentId === undefined) return null
  return { projectId, environmentId, serviceId: new URLSearchParams(query).get('serviceId') }
}

type Target = NonNullable<ReturnType<typeof uploadTarget>>

/** A source tree that has arrived is built and run. */
export function upload(target: Target, bytes: number, access: Access): Reply {
  const { serviceId, environmentId } = instanceFor(target, access)
  const { projectId } = target
  access.world.uploads.push({
    ...access.maker.row(),
    ...{ projectId, environmentId, serviceId, bytes },
  })
  const { id } = deploy(access, { serviceId, environmentId })
  const url = `https://railway.com/project/${projectId}/service/${serviceId}?id=${id}`
  const body = { url, logsUrl: url, deploymentDomain: 'web.up.railway.app', deploymentId: id }
  return { status: 200, body }
}

/** Without a service there has to be exactly one that can be meant. */
function instanceFor({ projectId, environmentId, serviceId }: Target, access: Access) {
  const environment = access.environment(environmentId, projectId)
  if (serviceId) return access.serviceInstance(environment.id, serviceId)
  const [only, ...others] = access.world.serviceInstances.filter(
    (each) => each.environmentId === environment.id,
  )
  if (!only || others.length > 0) throw new GraphQLError('Multiple services found')
  return only
}
