import type { Access } from '../access.ts'
import type {
  ApiTokenRow,
  DeploymentRow,
  DeploymentTriggerRow,
  DomainRow,
  EnvironmentRow,
  PatchRow,
  ProjectRow,
  ProjectTokenRow,
  ServiceInstanceRow,
  ServiceRow,
  VariableRow,
  VolumeInstanceRow,
  VolumeRow,
} from '../world.ts'
import type { FieldAnswer, FieldAnswers } from './answer.ts'
import { configOf } from './config.ts'
import { CUSTOM_DOMAIN_STATUS } from './domains.ts'
import { hidden } from './hidden.ts'
import { type EnvironmentFilter, environmentsPage, type PageArguments, page } from './page.ts'

type InEnvironment = { readonly environmentId: string }
type OfService = InEnvironment & { readonly serviceId: string }

const project = ({ projectId }: { projectId: string }, access: Access) => access.project(projectId)
const environment = ({ environmentId }: InEnvironment, access: Access) =>
  access.environment(environmentId)
const projectId = ({ environmentId }: InEnvironment, access: Access) =>
  access.environment(environmentId).projectId
const service = ({ serviceId }: { serviceId: string | null }, access: Access) =>
  serviceId === null ? null : access.service(serviceId)
const displayToken = ({ token }: { token: string }) => `${token.slice(0, 4)}****`

/** A list of the environment's own things, page by page. */
const listed =
  (
    name:
      | 'serviceInstances'
      | 'volumeInstances'
      | 'deployments'
      | 'variables'
      | 'deploymentTriggers',
  ) =>
  ({ id }: EnvironmentRow, { world }: Access, args: PageArguments) =>
    page(
      world[name].filter(({ environmentId }) => environmentId === id),
      args,
    )

const deploymentsOf = ({ environmentId, serviceId }: OfService, { world }: Access) =>
  world.deployments.filter(
    (each) => each.environmentId === environmentId && each.serviceId === serviceId,
  )

const domainsOf =
  (kind: DomainRow['kind']) =>
  ({ environmentId, serviceId }: OfService, { world }: Access) =>
    world.domains.filter(
      (each) =>
        each.kind === kind && each.environmentId === environmentId && each.serviceId === serviceId,
    )

const domain = {
  projectId,
  syncStatus: () => 'ACTIVE',
  targetPort: ({ port }: DomainRow) => port,
}

const setting =
  (name: string): FieldAnswer =>
  ({ settings }: ServiceInstanceRow) =>
    settings[name]
const SETTINGS = `buildCommand startCommand cronSchedule healthcheckPath numReplicas region
  rootDirectory source`
const settings = Object.fromEntries(SETTINGS.split(/\s+/).map((name) => [name, setting(name)]))

/** What is not in a row under the field's name. Ways out of an environment ask for access again. */
export const fields: FieldAnswers = {
  User: { workspaces: (_: object, { world }: Access) => [world.workspace] },
  Workspace: {
    projects: (_: object, { world }: Access, args: PageArguments) => page(world.projects, args),
  },
  ApiToken: { displayToken: (row: ApiTokenRow) => displayToken(row) },
  ProjectToken: {
    displayToken: (row: ProjectTokenRow) => displayToken(row),
    project,
    environment,
  },
  Project: {
    workspace: (_: ProjectRow, { world }: Access) => world.workspace,
    environments: ({ id }: ProjectRow, access: Access, args: EnvironmentFilter) =>
      environmentsPage(access, id, args),
    buckets: (_: ProjectRow, __: Access, args: PageArguments) => page([], args),
    services: ({ id }: ProjectRow, access: Access, args: PageArguments) =>
      page(access.servicesOf(id), args),
    volumes: ({ id }: ProjectRow, access: Access, args: PageArguments) =>
      page(access.volumesOf(id), args),
  },
  Environment: {
    isEphemeral: () => false,
    canAccess: ({ id }: EnvironmentRow, access: Access) => access.sees(id),
    unmergedChangesCount: ({ id }: EnvironmentRow, { world }: Access) =>
      world.patches.filter((each) => each.environmentId === id && each.status === 'STAGED').length,
    sourceEnvironment: ({ sourceEnvironmentId }: EnvironmentRow, { world }: Access) =>
      world.environments.find(({ id }) => id === sourceEnvironmentId),
    config: (
      { id }: EnvironmentRow,
      { world }: Access,
      args: { readonly decryptVariables?: boolean | null },
    ) => configOf(world, id, args.decryptVariables === true),
    serviceInstances: listed('serviceInstances'),
    volumeInstances: listed('volumeInstances'),
    deployments: listed('deployments'),
    deploymentTriggers: listed('deploymentTriggers'),
    variables: listed('variables'),
  },
  EnvironmentPatch: {
    environment,
    appliedAt: ({ status, updatedAt }: PatchRow) => (status === 'COMMITTED' ? updatedAt : null),
    patch: ({ patch }: PatchRow, _: Access, args: { decryptVariables?: boolean | null }) =>
      args.decryptVariables === true ? patch : hidden(patch),
  },
  Service: {
    project,
    serviceInstances: ({ id }: ServiceRow, access: Access, args: PageArguments) =>
      page(
        access.instancesOf(id).filter(({ environmentId }) => access.sees(environmentId)),
        args,
      ),
  },
  ServiceInstance: {
    ...settings,
    service,
    serviceName: ({ serviceId }: ServiceInstanceRow, access: Access) =>
      access.service(serviceId).name,
    activeDeployments: (row: ServiceInstanceRow, access: Access) =>
      deploymentsOf(row, access).filter(({ status }) => status === 'SUCCESS'),
    latestDeployment: (row: ServiceInstanceRow, access: Access) =>
      deploymentsOf(row, access).at(-1),
    domains: (row: ServiceInstanceRow) => row,
    autoInstrumentationEnabled: () => false,
    tracingEnabled: () => false,
  },
  Deployment: {
    environment,
    projectId,
    service,
    // What was built is called as what runs of it.
    snapshotId: ({ id }: DeploymentRow) => id,
    canRedeploy: () => true,
    canRollback: ({ status }: DeploymentRow) => status === 'REMOVED',
    deploymentStopped: ({ status }: DeploymentRow) => status === 'REMOVED',
    instances: ({ id, status }: DeploymentRow) =>
      status === 'SUCCESS' ? [{ id, status: 'RUNNING' }] : [],
    meta: () => ({}),
  },
  DeploymentTrigger: {
    projectId: (row: DeploymentTriggerRow, access: Access) => projectId(row, access),
    provider: () => 'github',
  },
  Variable: {
    environment: (row: VariableRow, access: Access) => environment(row, access),
    isSealed: () => false,
    references: () => [],
  },
  AllDomains: { customDomains: domainsOf('custom'), serviceDomains: domainsOf('service') },
  CustomDomain: { ...domain, status: () => CUSTOM_DOMAIN_STATUS },
  ServiceDomain: { ...domain, suffix: () => 'up.railway.app' },
  TCPProxy: {
    applicationPort: ({ port }: DomainRow) => port,
    proxyPort: ({ port }: DomainRow) => port,
  },
  Volume: {
    project,
    volumeInstances: ({ id }: VolumeRow, access: Access, args: PageArguments) =>
      page(
        access.mountsOf(id).filter(({ environmentId }) => access.sees(environmentId)),
        args,
      ),
  },
  VolumeInstance: {
    environment,
    service,
    volume: ({ volumeId }: VolumeInstanceRow, access: Access) => access.volume(volumeId),
    isPendingDeletion: ({ state }: VolumeInstanceRow) => state === 'DELETING',
  },
  VolumeInstanceBackup: { externalId: ({ id }: { id: string }) => id },
}
