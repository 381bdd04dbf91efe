const PAGE = '(after: String, before: String, first: Int, last: Int)'

/** Lists come page by page, each in a type of its own: owner, list, what is in it. */
const PAGED = [
  ['Query', 'Projects', 'Project'],
  ['Query', 'Environments', 'Environment'],
  ['Query', 'Deployments', 'Deployment'],
  ['Query', 'DeploymentTriggers', 'DeploymentTrigger'],
  ['Query', 'ProjectTokens', 'ProjectToken'],
  ['Query', 'ApiTokens', 'ApiToken'],
  ['Workspace', 'Projects', 'Project'],
  ['Project', 'Environments', 'Environment'],
  ['Project', 'Services', 'Service'],
  ['Project', 'Volumes', 'Volume'],
  ['Project', 'Buckets', 'Bucket'],
  ['Service', 'ServiceInstances', 'ServiceInstance'],
  ['Volume', 'VolumeInstances', 'VolumeInstance'],
  ['Environment', 'ServiceInstances', 'ServiceInstance'],
  ['Environment', 'VolumeInstances', 'VolumeInstance'],
  ['Environment', 'Deployments', 'Deployment'],
  ['Environment', 'DeploymentTriggers', 'DeploymentTrigger'],
  ['Environment', 'Variables', 'Variable'],
] as const

const CONNECTIONS = PAGED.map(
  ([owner, list, item]) => `
type ${owner}${list}Connection { edges: [${owner}${list}ConnectionEdge!]! pageInfo: PageInfo! }
type ${owner}${list}ConnectionEdge { cursor: String! node: ${item}! }`,
).join('')

export const OBJECTS = `
scalar DateTime
scalar JSON
scalar EnvironmentConfig
scalar EnvironmentVariables
scalar DeploymentMeta

interface Node { id: ID! }
type PageInfo { endCursor: String hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String }

type User implements Node {
  id: ID!
  createdAt: DateTime!
  email: String!
  name: String
  workspaces: [Workspace!]!
}
type Workspace implements Node {
  id: ID!
  name: String!
  team: Team
  projects${PAGE}: WorkspaceProjectsConnection!
}
type Team implements Node { id: ID! name: String! }
type ApiToken implements Node {
  id: ID!
  name: String!
  displayToken: String!
  workspaceId: String
  expiresAt: DateTime
}
type ProjectToken implements Node {
  id: ID!
  name: String!
  createdAt: DateTime!
  displayToken: String!
  project: Project!
  projectId: String!
  environment: Environment!
  environmentId: String!
}

type Project implements Node {
  id: ID!
  name: String!
  description: String
  createdAt: DateTime!
  updatedAt: DateTime!
  deletedAt: DateTime
  workspace: Workspace
  workspaceId: String
  team: Team
  environments(after: String, before: String, first: Int, isEphemeral: Boolean, last: Int, sort: SortOrder): ProjectEnvironmentsConnection!
  services${PAGE}: ProjectServicesConnection!
  volumes${PAGE}: ProjectVolumesConnection!
  buckets${PAGE}: ProjectBucketsConnection!
}
enum SortOrder { asc desc }
type Bucket implements Node { id: ID! name: String! }
type Environment implements Node {
  id: ID!
  name: String!
  projectId: String!
  createdAt: DateTime!
  updatedAt: DateTime!
  deletedAt: DateTime
  isEphemeral: Boolean!
  canAccess: Boolean!
  unmergedChangesCount: Int
  meta: EnvironmentMeta
  sourceEnvironment: Environment
  config(decryptVariables: Boolean): EnvironmentConfig!
  serviceInstances${PAGE}: EnvironmentServiceInstancesConnection!
  volumeInstances${PAGE}: EnvironmentVolumeInstancesConnection!
  deployments${PAGE}: EnvironmentDeploymentsConnection!
  deploymentTriggers${PAGE}: EnvironmentDeploymentTriggersConnection!
  variables${PAGE}: EnvironmentVariablesConnection!
}
type EnvironmentMeta { prNumber: Int prTitle: String prRepo: String branch: String baseBranch: String }
enum EnvironmentPatchStatus { APPLYING COMMITTED STAGED }
type EnvironmentPatch implements Node {
  id: ID!
  createdAt: DateTime!
  updatedAt: DateTime!
  appliedAt: DateTime
  environment: Environment!
  environmentId: String!
  lastAppliedError: String
  message: String
  patch(decryptVariables: Boolean): EnvironmentConfig!
  status: EnvironmentPatchStatus!
}

type Service implements Node {
  id: ID!
  name: String!
  icon: String
  createdAt: DateTime!
  updatedAt: DateTime!
  deletedAt: DateTime
  project: Project!
  projectId: String!
  serviceInstances${PAGE}: ServiceServiceInstancesConnection!
}
type ServiceSource { image: String repo: String }
type ServiceInstance implements Node {
  id: ID!
  createdAt: DateTime!
  updatedAt: DateTime!
  deletedAt: DateTime
  service: Service!
  serviceId: String!
  serviceName: String!
  environmentId: String!
  activeDeployments: [Deployment!]!
  latestDeployment: Deployment
  domains: AllDomains!
  source: ServiceSource
  buildCommand: String
  startCommand: String
  cronSchedule: String
  nextCronRunAt: DateTime
  healthcheckPath: String
  numReplicas: Int
  region: String
  rootDirectory: String
  autoInstrumentationEnabled: Boolean!
  tracingEnabled: Boolean!
}
enum DeploymentStatus {
  BUILDING CRASHED DEPLOYING FAILED INITIALIZING NEEDS_APPROVAL QUEUED REMOVED REMOVING SKIPPED
  SLEEPING SUCCESS WAITING
}
enum DeploymentInstanceStatus {
  CRASHED CREATED EXITED INITIALIZING REMOVED REMOVING RESTARTING RUNNING SKIPPED STOPPED
}
type DeploymentDeploymentInstance { id: String! status: DeploymentInstanceStatus! }
type Deployment implements Node {
  id: ID!
  createdAt: DateTime!
  updatedAt: DateTime!
  canRedeploy: Boolean!
  canRollback: Boolean!
  deploymentStopped: Boolean!
  environment: Environment!
  environmentId: String!
  instances: [DeploymentDeploymentInstance!]!
  meta: DeploymentMeta
  projectId: String!
  service: Service!
  serviceId: String
  snapshotId: String
  staticUrl: String
  status: DeploymentStatus!
  url: String
}
type DeploymentTrigger implements Node {
  id: ID!
  branch: String!
  environmentId: String!
  projectId: String!
  provider: String!
  repository: String!
  serviceId: String
}
type Variable implements Node {
  id: ID!
  name: String!
  createdAt: DateTime!
  updatedAt: DateTime!
  environment: Environment!
  environmentId: String
  isSealed: Boolean!
  references: [String!]!
  serviceId: String
}

type Volume implements Node {
  id: ID!
  name: String!
  createdAt: DateTime!
  project: Project!
  projectId: String!
  volumeInstances${PAGE}: VolumeVolumeInstancesConnection!
}
enum VolumeState {
  DELETED DELETING ERROR MIGRATING MIGRATION_PENDING READY RESTORING UPDATING
}
type VolumeInstance implements Node {
  id: ID!
  createdAt: DateTime!
  deletedAt: DateTime
  isPendingDeletion: Boolean!
  currentSizeMB: Float!
  sizeMB: Int!
  environment: Environment!
  environmentId: String!
  mountPath: String!
  region: String
  service: Service!
  serviceId: String
  state: VolumeState
  volume: Volume!
  volumeId: String!
}
type VolumeInstanceBackup {
  id: String!
  name: String
  createdAt: DateTime!
  expiresAt: DateTime
  externalId: String!
  creatorId: String
  scheduleId: String
  referencedMB: Int
  usedMB: Int
  volumeInstanceSizeMB: Int
}
type WorkflowId { workflowId: String }
enum WorkflowStatus { Complete Error NotFound Running }
type WorkflowResult { error: String status: WorkflowStatus! }
${CONNECTIONS}
`
