import type { JsonObject } from '../../lib/json.ts'

/** What every thing in the cloud has. Times are ISO 8601. */
export interface Row {
  readonly id: string
  readonly createdAt: string
  updatedAt: string
}

interface Named extends Row {
  name: string
}

export interface AccountRow extends Named {
  readonly email: string
}

/** Opens everything its account can reach; one with a workspace cannot ask who it is. */
export interface ApiTokenRow extends Named {
  readonly token: string
  readonly accountId: string
  readonly workspaceId: string | null
}

/** Opens one environment of one project. */
export interface ProjectTokenRow extends Named {
  readonly token: string
  readonly projectId: string
  readonly environmentId: string
}

export interface ProjectRow extends Named {
  readonly workspaceId: string
}

export interface EnvironmentRow extends Named {
  readonly projectId: string
  readonly sourceEnvironmentId: string | null
  /** Services come, change and go in it alone; in any other, in all that are no forks. */
  readonly fork: boolean
}

/** A service spans the environments of its project; what runs in one of them is an instance. */
export interface ServiceRow extends Named {
  readonly projectId: string
}

export interface ServiceInstanceRow extends Row {
  readonly serviceId: string
  readonly environmentId: string
  /** As `ServiceInstanceUpdateInput` names them. */
  settings: JsonObject
}

export type DeploymentStatus = 'SUCCESS' | 'DEPLOYING' | 'REMOVED'

export interface DeploymentRow extends Row {
  readonly serviceId: string
  readonly environmentId: string
  status: DeploymentStatus
}

export interface DeploymentTriggerRow extends Row {
  readonly serviceId: string
  readonly environmentId: string
  readonly repository: string
  readonly branch: string
}

/** Without a service the variable is shared by the environment. */
export interface VariableRow extends Named {
  readonly environmentId: string
  readonly serviceId: string | null
  value: string
}

/** `kind`: a customer's own name, one of the cloud's, or a raw port. */
export interface DomainRow extends Row {
  readonly kind: 'custom' | 'service' | 'tcp'
  readonly serviceId: string
  readonly environmentId: string
  readonly domain: string
  readonly port: number
}

/** A volume spans environments as well: its data lie in its instances. */
export interface VolumeRow extends Named {
  readonly projectId: string
}

export interface VolumeInstanceRow extends Row {
  readonly volumeId: string
  readonly environmentId: string
  serviceId: string | null
  mountPath: string
  state: string
  readonly sizeMB: number
  currentSizeMB: number
  /** The backup whose data it holds, where one was put back. */
  restoredFrom: string | null
}

/** Lies in the volume: it is gone with its instance. */
export interface BackupRow extends Named {
  readonly volumeInstanceId: string
}

/** Changes to an environment's configuration, waiting or done. */
export interface PatchRow extends Row {
  readonly environmentId: string
  status: 'STAGED' | 'COMMITTED'
  patch: JsonObject
  message: string | null
}

/** A source tree that came through `/up`. */
export interface UploadRow extends Row {
  readonly projectId: string
  readonly environmentId: string
  readonly serviceId: string
  readonly bytes: number
}

/** Everything the cloud holds: plain rows, changed in place by what its clients do. */
export interface CloudWorld {
  readonly workspace: { readonly id: string; readonly name: string }
  readonly accounts: AccountRow[]
  readonly apiTokens: ApiTokenRow[]
  readonly projectTokens: ProjectTokenRow[]
  readonly projects: ProjectRow[]
  readonly environments: EnvironmentRow[]
  readonly services: ServiceRow[]
  readonly serviceInstances: ServiceInstanceRow[]
  readonly deployments: DeploymentRow[]
  readonly deploymentTriggers: DeploymentTriggerRow[]
  readonly variables: VariableRow[]
  readonly domains: DomainRow[]
  readonly volumes: VolumeRow[]
  readonly volumeInstances: VolumeInstanceRow[]
  readonly backups: BackupRow[]
  readonly patches: PatchRow[]
  readonly uploads: UploadRow[]
}
