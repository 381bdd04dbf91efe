import { GraphQLError } from 'graphql'
import { type Access, notFound } from '../access.ts'
import type { RootAnswers } from './answer.ts'
import { stagedPatch } from './config.ts'
import { type EnvironmentFilter, environmentsPage, type PageArguments, page } from './page.ts'
import { variablesOf } from './variables.ts'

interface Place {
  readonly projectId: string
  readonly environmentId: string
  readonly serviceId?: string | null
}
interface ById {
  readonly id: string
}

export const queries: RootAnswers = {
  projectToken: (_: object, access: Access) => {
    const caller = access.anyone()
    if (caller.kind !== 'project') throw new GraphQLError('Project Token not found')
    return caller.token
  },
  me: (_: object, access: Access) => access.me(),
  projects: (args: PageArguments & { workspaceId?: string | null }, access: Access) => {
    access.account()
    const wanted = args.workspaceId ?? access.world.workspace.id
    return page(
      access.world.projects.filter(({ workspaceId }) => workspaceId === wanted),
      args,
    )
  },
  project: ({ id }: ById, access: Access) => access.project(id),
  environments: (args: EnvironmentFilter & { projectId: string }, access: Access) =>
    environmentsPage(access, access.project(args.projectId).id, args),
  environment: ({ id, projectId }: ById & { projectId?: string | null }, access: Access) =>
    access.environment(id, projectId),
  service: ({ id }: ById, access: Access) => access.service(id),
  serviceInstance: (args: Required<Place> & { serviceId: string }, access: Access) =>
    access.serviceInstance(args.environmentId, args.serviceId),
  volumeInstance: ({ id }: ById, access: Access) => access.volumeInstance(id),
  volumeInstanceBackupList: (args: { volumeInstanceId: string }, access: Access) => {
    const { id } = access.volumeInstance(args.volumeInstanceId)
    return access.world.backups.filter(({ volumeInstanceId }) => volumeInstanceId === id)
  },
  deployment: ({ id }: ById, access: Access) => access.deployment(id),
  deployments,
  variables: (place: Place, access: Access) => readVariables(place, access),
  variablesForServiceDeployment: (place: Place, access: Access) => ({
    ...readVariables({ ...place, serviceId: null }, access),
    ...readVariables(place, access),
  }),
  customDomain: ({ id, projectId }: ById & { projectId: string }, access: Access) => {
    const found = access.world.domains.find((each) => each.id === id && each.kind === 'custom')
    if (!found) throw notFound('CustomDomain')
    access.environment(found.environmentId, projectId)
    return found
  },
  domains: (place: Required<Place> & { serviceId: string }, access: Access) => {
    access.environment(place.environmentId, place.projectId)
    return access.serviceInstance(place.environmentId, place.serviceId)
  },
  tcpProxies: (place: { environmentId: string; serviceId: string }, access: Access) => {
    const { environmentId, serviceId } = access.serviceInstance(
      place.environmentId,
      place.serviceId,
    )
    return access.world.domains.filter(
      (each) =>
        each.kind === 'tcp' && each.environmentId === environmentId && each.serviceId === serviceId,
    )
  },
  deploymentTriggers: (
    args: PageArguments & Required<Place> & { serviceId: string },
    access: Access,
  ) => {
    access.environment(args.environmentId, args.projectId)
    const triggers = access.world.deploymentTriggers.filter(
      (each) => each.environmentId === args.environmentId && each.serviceId === args.serviceId,
    )
    return page(triggers, args)
  },
  projectTokens: (args: PageArguments & { projectId: string }, access: Access) => {
    access.account()
    const { id } = access.project(args.projectId)
    return page(
      access.world.projectTokens.filter(({ projectId }) => projectId === id),
      args,
    )
  },
  apiTokens: (args: PageArguments, access: Access) => {
    const { account } = access.account()
    return page(
      access.world.apiTokens.filter(({ accountId }) => accountId === account.id),
      args,
    )
  },
  environmentStagedChanges: ({ environmentId }: { environmentId: string }, access: Access) =>
    stagedPatch(access, access.environment(environmentId).id),
}

interface DeploymentFilter {
  readonly environmentId?: string | null
  readonly projectId?: string | null
  readonly serviceId?: string | null
  readonly status?: { readonly in?: string[] | null; readonly notIn?: string[] | null } | null
}

/** Newest first. */
function deployments(args: PageArguments & { input: DeploymentFilter }, access: Access) {
  const { environmentId, projectId, serviceId, status } = args.input
  if (projectId) access.project(projectId)
  if (environmentId) access.environment(environmentId, projectId)
  const environments = new Set(
    (projectId ? access.environmentsOf(projectId) : access.world.environments)
      .map(({ id }) => id)
      .filter((id) => access.sees(id) && (!environmentId || id === environmentId)),
  )
  const found = access.world.deployments.filter(
    (each) =>
      environments.has(each.environmentId) &&
      (!serviceId || each.serviceId === serviceId) &&
      (!status?.in || status.in.includes(each.status)) &&
      !status?.notIn?.includes(each.status),
  )
  return page(found.toReversed(), args)
}

function readVariables(place: Place, access: Access) {
  access.environment(place.environmentId, place.projectId)
  if (place.serviceId) access.serviceInstance(place.environmentId, place.serviceId)
  const rows = variablesOf(access.world, place.environmentId, place.serviceId ?? null)
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}
