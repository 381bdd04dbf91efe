export const INPUTS = `
enum ProjectsOrderBy { CREATED_AT_DESC NAME_ASC UPDATED_AT_DESC }
input DeploymentStatusInput { in: [DeploymentStatus!] notIn: [DeploymentStatus!] }
input DeploymentListInput {
  environmentId: String
  includeDeleted: Boolean
  projectId: String
  serviceId: String
  status: DeploymentStatusInput
}
input VolumeInstanceUpdateInput { mountPath: String serviceId: String state: VolumeState }
enum Builder { HEROKU NIXPACKS PAKETO RAILPACK }
enum RestartPolicyType { ALWAYS NEVER ON_FAILURE }
input ServiceSourceInput { image: String repo: String }
input RegistryCredentialsInput { password: String! username: String! }
input ServiceCreateInput {
  branch: String
  environmentId: String
  icon: String
  name: String
  projectId: String!
  registryCredentials: RegistryCredentialsInput
  source: ServiceSourceInput
  templateId: String
  templateServiceId: String
  variables: EnvironmentVariables
}
input ServiceInstanceUpdateInput {
  buildCommand: String
  builder: Builder
  cronSchedule: String
  dockerfilePath: String
  drainingSeconds: Int
  healthcheckPath: String
  healthcheckTimeout: Int
  ipv6EgressEnabled: Boolean
  multiRegionConfig: JSON
  nixpacksPlan: JSON
  numReplicas: Int
  overlapSeconds: Int
  preDeployCommand: [String!]
  railwayConfigFile: String
  region: String
  registryCredentials: RegistryCredentialsInput
  restartPolicyMaxRetries: Int
  restartPolicyType: RestartPolicyType
  rootDirectory: String
  sleepApplication: Boolean
  source: ServiceSourceInput
  startCommand: String
  watchPatterns: [String!]
}
input VariableUpsertInput {
  environmentId: String!
  name: String!
  projectId: String!
  serviceId: String
  skipDeploys: Boolean = false
  value: String!
}
input VariableCollectionUpsertInput {
  environmentId: String!
  projectId: String!
  replace: Boolean = false
  serviceId: String
  skipDeploys: Boolean = false
  variables: EnvironmentVariables!
}
input VariableDeleteInput {
  environmentId: String!
  name: String!
  projectId: String!
  serviceId: String
}
input EnvironmentCreateInput {
  applyChangesInBackground: Boolean
  ephemeral: Boolean
  name: String!
  projectId: String!
  skipInitialDeploys: Boolean
  sourceEnvironmentId: String
  stageInitialChanges: Boolean
}
input ProjectTokenCreateInput { environmentId: String! name: String! projectId: String! }
input ApiTokenCreateInput { name: String! workspaceId: String }
input CliEventTrackInput {
  agentSessionId: String
  arch: String!
  caller: String
  cliVersion: String!
  command: String!
  durationMs: Int!
  environmentId: String
  errorClass: String
  errorMessage: String
  installRequestId: String
  isCi: Boolean!
  os: String!
  projectId: String
  serviceId: String
  sessionId: String
  subCommand: String
  success: Boolean!
  workspaceId: String
}
`
