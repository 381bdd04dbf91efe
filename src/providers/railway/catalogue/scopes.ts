import { fieldsOf } from './shapes.ts'

/**
 * Where the things of a type live. `part`: they have no life of their own (connections, samples, the
 * source of a service) and belong to whatever shows them. What has an id and is not listed is
 * `account`, the farthest.
 */
export type Scope = 'environment' | 'project' | 'account' | 'part'

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

const LISTED: readonly (readonly [Scope, readonly string[]])[] = [
  [
    'environment',
    words(`AgentBootstrap AgentBootstrapVersion BucketInstanceDetails ChangeSetApplyResult CloudAgent
      CloudAgentCheckpoint Container CustomDomain Deployment DeploymentEvent DeploymentInstanceExecution DeploymentSnapshot DeploymentTrigger Domain
      Environment EnvironmentPatch Event ObservabilityDashboard ObservabilityDashboardAlert
      ObservabilityDashboardItem ObservabilityDashboardItemInstance ObservabilityDashboardMonitor
      ProjectToken Sandbox SandboxCheckpoint SandboxTemplateBuild ServiceDomain ServiceInstance
      TCPProxy Variable VolumeInstance VolumeInstanceBackup VolumeInstanceBackupSchedule`),
  ],
  [
    'project',
    words(`Bucket Group Integration NotificationChannel NotificationRule Plugin Project
      ProjectInvitation ProjectMember ProjectPermission Service Volume`),
  ],
  // Has no id and is a window on several environments or on the account all the same.
  ['account', words('ConnectedServiceInstance')],
  // Have an id and are still a part of what shows them, or public.
  [
    'part',
    words(`AppliedByMember DeploymentCreator DeploymentDeploymentInstance EdgeConfig Incident
      Maintenance Region Template TemplateSearchResult TemplateService`),
  ],
]

const scopes = new Map(LISTED.flatMap(([scope, types]) => types.map((type) => [type, scope])))

export function scopeOf(type: string): Scope {
  return scopes.get(type) ?? (fieldsOf(type)?.has('id') ? 'account' : 'part')
}

/**
 * Edges that lead into other environments although both ends look alike. Everything else follows from
 * the scopes: from a project into environments, from anything up to a project or an account.
 */
const OUTWARD: ReadonlyMap<string, readonly string[]> = new Map([
  ['Environment', ['sourceEnvironment']],
  // The token that is really used, which need not be the lease's.
  ['ProjectToken', ['environment']],
  ['EgressMigrationResult', ['environments']],
])

export function leadsOut(type: string, field: string): boolean {
  return OUTWARD.get(type)?.includes(field) ?? false
}

/**
 * What may be seen of things outside the granted environment: that they exist and what they are
 * called, which every client needs to turn a name into an id.
 */
const NAMES: ReadonlySet<string> = new Set(
  words(`__typename id name environmentId environmentName projectId serviceId serviceName volumeId
    createdAt updatedAt deletedAt isEphemeral canAccess unmergedChangesCount sourceEnvironment meta
    edges node pageInfo cursor`),
)

/** Parts that only ever hold names. */
const NAME_PARTS: ReadonlySet<string> = new Set(['PageInfo', 'EnvironmentMeta'])

/** True where a field shows no more of a thing than that it exists. */
export function isNameField(type: string, field: string): boolean {
  if (NAME_PARTS.has(type)) return true
  const shape = fieldsOf(type)?.get(field)
  if (shape === undefined) return field === '__typename'
  if (!NAMES.has(field)) return false
  if (shape.type === null) return field !== 'meta'
  return scopeOf(shape.type) === 'part' || field === 'node' || field === 'sourceEnvironment'
}
