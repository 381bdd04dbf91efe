const PAGE = 'after: String, before: String, first: Int, last: Int'

/** The fields that are served here, each as Railway's schema has it. */
export const ROOTS = `
type Query {
  projectToken: ProjectToken!
  me: User!
  projects(${PAGE}, includeDeleted: Boolean, orderBy: ProjectsOrderBy, userId: String, workspaceId: String): QueryProjectsConnection!
  project(id: String!): Project!
  environments(${PAGE}, isEphemeral: Boolean, projectId: String!): QueryEnvironmentsConnection!
  environment(id: String!, projectId: String): Environment!
  service(id: String!): Service!
  serviceInstance(environmentId: String!, serviceId: String!): ServiceInstance!
  volumeInstance(id: String!): VolumeInstance!
  volumeInstanceBackupList(volumeInstanceId: String!): [VolumeInstanceBackup!]!
  workflowStatus(workflowId: String!): WorkflowResult!
  deployment(id: String!): Deployment!
  deployments(${PAGE}, input: DeploymentListInput!): QueryDeploymentsConnection!
  deploymentLogs(deploymentId: String!, endDate: DateTime, filter: String, limit: Int, startDate: DateTime): [Log!]!
  buildLogs(deploymentId: String!, endDate: DateTime, filter: String, limit: Int, startDate: DateTime): [Log!]!
  environmentLogs(afterDate: String, afterLimit: Int, anchorDate: String, beforeDate: String, beforeLimit: Int, environmentId: String!, filter: String): [Log!]!
  externalWorkspaces(projectId: String): [ExternalWorkspace!]!
  regions(projectId: String): [Region!]!
  variables(environmentId: String!, projectId: String!, serviceId: String, unrendered: Boolean): EnvironmentVariables!
  variablesForServiceDeployment(environmentId: String!, projectId: String!, serviceId: String!): EnvironmentVariables!
  customDomain(id: String!, projectId: String!): CustomDomain!
  domains(environmentId: String!, projectId: String!, serviceId: String!): AllDomains!
  tcpProxies(environmentId: String!, serviceId: String!): [TCPProxy!]!
  deploymentTriggers(${PAGE}, environmentId: String!, projectId: String!, serviceId: String!): QueryDeploymentTriggersConnection!
  projectTokens(${PAGE}, projectId: String!): QueryProjectTokensConnection!
  apiTokens(${PAGE}): QueryApiTokensConnection!
  environmentStagedChanges(environmentId: String!): EnvironmentPatch!
}

type Mutation {
  volumeDelete(volumeId: String!): Boolean!
  volumeInstanceUpdate(environmentId: String, input: VolumeInstanceUpdateInput!, volumeId: String!): Boolean!
  volumeInstanceBackupCreate(name: String, volumeInstanceId: String!): WorkflowId!
  volumeInstanceBackupDelete(volumeInstanceBackupId: String!, volumeInstanceId: String!): WorkflowId!
  volumeInstanceBackupRestore(replicaServiceIds: [String!], volumeInstanceBackupId: String!, volumeInstanceId: String!, wipeServiceIds: [String!]): WorkflowId!
  serviceCreate(input: ServiceCreateInput!): Service!
  serviceDelete(environmentId: String, id: String!): Boolean!
  serviceInstanceRedeploy(environmentId: String!, serviceId: String!): Boolean!
  serviceInstanceDeploy(commitSha: String, environmentId: String!, latestCommit: Boolean, serviceId: String!): Boolean!
  serviceInstanceDeployV2(commitSha: String, environmentId: String!, serviceId: String!): String!
  serviceInstanceUpdate(environmentId: String, input: ServiceInstanceUpdateInput!, serviceId: String!): Boolean!
  serviceDomainCreate(input: ServiceDomainCreateInput!): ServiceDomain!
  deploymentRedeploy(id: String!, usePreviousImageTag: Boolean): Deployment!
  deploymentRestart(id: String!): Boolean!
  deploymentRemove(id: String!): Boolean!
  variableUpsert(input: VariableUpsertInput!): Boolean!
  variableCollectionUpsert(input: VariableCollectionUpsertInput!): Boolean!
  variableDelete(input: VariableDeleteInput!): Boolean!
  environmentPatchCommit(commitMessage: String, environmentId: String!, patch: EnvironmentConfig): String!
  environmentStageChanges(environmentId: String!, input: EnvironmentConfig!, merge: Boolean): EnvironmentPatch!
  environmentPatchCommitStaged(commitMessage: String, environmentId: String!, skipDeploys: Boolean): String!
  environmentCreate(input: EnvironmentCreateInput!): Environment!
  environmentDelete(id: String!): Boolean!
  projectDelete(id: String!): Boolean!
  projectTokenCreate(input: ProjectTokenCreateInput!): String!
  projectTokenDelete(id: String!): Boolean!
  apiTokenCreate(input: ApiTokenCreateInput!): String!
  apiTokenDelete(id: String!): Boolean!
  cliEventTrack(input: CliEventTrackInput!): Boolean!
}
`
