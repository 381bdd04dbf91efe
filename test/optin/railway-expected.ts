const leaves = (field: string) =>
  `"${field}" is reached over an edge that leaves the environment, where only names may be read`

/** Documents that no template can allow, and why: they are about the account, or name what nobody can place. */
export const REFUSED: Readonly<Record<string, string>> = {
  AgentBootstrap: leaves('AgentBootstrap.status'),
  AgentBootstrapSave: leaves('AgentBootstrap.status'),
  CloudAgentCreate: 'input field "cloudAgentCreate.input.cloudAgentCheckpointId" is not known here',
  MyCloudAgents: leaves('CloudAgent.status'),
  ProjectCreate: leaves('Project.environments'),
  Projects: leaves('Project.workspace'),
  UserProjects: leaves('Project.environments'),
}

/** Queries about the account: understood, and in no lease's environment. */
export const OF_THE_ACCOUNT: readonly string[] = [
  'CloudAgentAccess',
  'GitHubRepos',
  'GitHubSshKeys',
  'ProjectFavorites',
  'SshPublicKeys',
  'TwoFactorInfo',
  'UserMeta',
  'WorkspaceTemplates',
]

/** Every mutation: its operations, their risks, and how their environment is known. */
export const MUTATIONS: Readonly<Record<string, readonly string[]>> = {
  BucketCreate: ['bucketCreate write environment=stg project=prj'],
  BucketCredentialsReset: [
    'BucketS3CompatibleCredentials.accessKeyId secret bucket=x environment=stg project=prj',
    'BucketS3CompatibleCredentials.secretAccessKey secret bucket=x environment=stg project=prj',
    'bucketCredentialsReset destructive bucket=x environment=stg project=prj',
    'bucketCredentialsReset:secret secret bucket=x environment=stg project=prj',
  ],
  BucketUpdate: ['bucketUpdate write bucket*=x'],
  CancelPitrHaWorkflow: ['cancelPitrHaWorkflow destructive environment=stg service=svc'],
  ClearPitrHaWorkflowProgress: ['clearPitrHaWorkflowProgress write environment=stg service=svc'],
  CliEventTrack: ['cliEventTrack read environment=stg lease project=prj service=svc'],
  CloudAgentDelete: ['cloudAgentDelete destructive cloudAgent*=x'],
  CloudAgentHarnessToken: ['cloudAgentHarnessToken admin cloudAgent*=x environment=stg'],
  CloudAgentSleep: ['cloudAgentSleep write cloudAgent*=x'],
  CloudAgentWake: ['cloudAgentWake write cloudAgent*=x'],
  CustomDomainCreate: ['customDomainCreate write environment=stg project=prj service=svc'],
  CustomDomainDelete: ['customDomainDelete destructive customDomain*=x'],
  CustomDomainIssueCertificate: ['customDomainIssueCertificate write customDomain*=x'],
  CustomDomainUpdate: ['customDomainUpdate write customDomain*=x environment=stg'],
  DeploymentInstanceExecutionCreate: ['deploymentInstanceExecutionCreate admin serviceInstance*=x'],
  DeploymentRedeploy: ['deploymentRedeploy write deployment*=x'],
  DeploymentRemove: ['deploymentRemove destructive deployment*=x'],
  DeploymentRestart: ['deploymentRestart write deployment*=x'],
  DisablePitrForHaCluster: [
    'disablePitrForHaCluster destructive environment=stg project=prj service=svc',
  ],
  DisableServiceCdn: ['disableServiceCdn destructive environment=stg service=svc'],
  EgressGatewayAssociationCreate: [
    'egressGatewayAssociationCreate write environment=stg service=svc',
  ],
  EgressGatewayAssociationsClear: [
    'egressGatewayAssociationsClear destructive environment=stg service=svc',
  ],
  EnablePitrForHaCluster: ['enablePitrForHaCluster write environment=stg project=prj service=svc'],
  EnableServiceCdn: ['enableServiceCdn write environment=stg service=svc'],
  EnvironmentCreate: [
    'environmentCreate write environment=x project=prj',
    'environmentCreate:execute execute environment=x project=prj',
    'environmentCreate:secret secret environment=x project=prj',
  ],
  EnvironmentDelete: ['environmentDelete destructive environment=x'],
  EnvironmentPatchCommit: ['environmentPatchCommit write environment=stg'],
  EnvironmentPatchCommitStaged: [
    'environmentPatchCommitStaged write environment=stg',
    'environmentPatchCommitStaged:destructive destructive environment=stg',
    'environmentPatchCommitStaged:execute execute environment=stg',
  ],
  EnvironmentStageChanges: ['environmentStageChanges write environment=stg'],
  FunctionUpdate: [
    'serviceInstanceUpdate write environment=stg service*=svc',
    'serviceInstanceUpdate:execute execute environment=stg service*=svc',
  ],
  GenerateShellToken: [
    'generateShellToken admin deploymentInstance*=x environment=stg service=svc',
  ],
  PrivateNetworkEndpointRename: [
    'privateNetworkEndpointRename write privateNetwork*=x privateNetworkEndpoint*=x',
  ],
  ProjectScheduleDelete: ['projectScheduleDelete destructive project*=x'],
  PurgeServiceCache: ['purgeServiceCache write environment=stg service=svc'],
  SandboxCheckpointCreate: ['sandboxCheckpointCreate write environment=stg sandbox*=x'],
  SandboxCheckpointDelete: [
    'sandboxCheckpointDelete destructive environment=stg sandboxCheckpoint*=x',
  ],
  SandboxCheckpointRename: ['sandboxCheckpointRename write environment=stg sandboxCheckpoint*=x'],
  SandboxCreate: ['sandboxCreate execute environment=stg sandbox*=x'],
  SandboxDestroy: ['sandboxDestroy destructive environment=stg sandbox*=x'],
  SandboxHeartbeat: ['sandboxHeartbeat write environment=stg sandbox*=x'],
  SandboxTemplateBuild: ['sandboxTemplateBuild execute environment=stg'],
  ServiceConnect: ['serviceConnect execute service*=x'],
  ServiceCreate: [
    'serviceCreate write environment=stg project*=prj',
    'serviceCreate:execute execute environment=stg project*=prj',
  ],
  ServiceDelete: ['serviceDelete destructive environment=stg service*=svc'],
  ServiceDisconnect: ['serviceDisconnect destructive service*=x'],
  ServiceDomainCreate: ['serviceDomainCreate write environment=stg service=svc'],
  ServiceDomainDelete: ['serviceDomainDelete destructive serviceDomain*=x'],
  ServiceDomainUpdate: ['serviceDomainUpdate write environment=stg service=svc serviceDomain*=x'],
  ServiceInstanceDeploy: ['serviceInstanceDeployV2 write environment=stg service=svc'],
  ServiceInstanceDeployCommit: [
    'serviceInstanceDeployV2 write environment=stg service=svc',
    'serviceInstanceDeployV2:execute execute environment=stg service=svc',
  ],
  ServiceInstanceDeployLatestCommit: ['serviceInstanceDeploy write environment=stg service=svc'],
  ServiceInstanceUpdate: ['serviceInstanceUpdate write environment=stg service*=svc'],
  SetServiceUnderAttackMode: ['setServiceUnderAttackMode write environment=stg service=svc'],
  SshPublicKeyCreate: ['sshPublicKeyCreate admin account'],
  SshPublicKeyDelete: ['sshPublicKeyDelete admin account'],
  TcpProxyDelete: ['tcpProxyDelete destructive tcpProxy*=x'],
  TemplateDelete: ['templateDelete destructive account'],
  TemplateDeploy: ['templateDeployV2 execute environment=stg project=prj'],
  TemplateDeployV2: ['templateDeployV2 execute environment=stg project=prj service=svc'],
  TemplateGenerate: ['templateGenerate write environment=stg project=prj'],
  TemplatePublish: ['templatePublish write account'],
  TemplateRevert: ['templateRevert destructive environment=stg project=prj service=svc'],
  TemplateUnpublish: ['templateUnpublish write account'],
  UpdateServiceEdgeConfig: ['updateServiceEdgeConfig write environment=stg service=svc'],
  ValidateTwoFactor: ['twoFactorInfoValidate admin account'],
  VariableCollectionUpsert: [
    'variableCollectionUpsert execute environment=stg project=prj service=svc',
  ],
  VariableDelete: ['variableDelete destructive environment=stg project=prj service=svc'],
  VolumeAttach: ['volumeInstanceUpdate write environment=stg service=svc volume=x'],
  VolumeCreate: ['volumeCreate write environment=stg project=prj service=svc'],
  VolumeDelete: ['volumeDelete destructive volume*=x'],
  VolumeDetach: [
    'volumeInstanceUpdate write environment=stg volume=x',
    'volumeInstanceUpdate:destructive destructive environment=stg volume=x',
  ],
  VolumeInstanceBackupCreate: ['volumeInstanceBackupCreate write volumeInstance*=x'],
  VolumeInstanceBackupDelete: [
    'volumeInstanceBackupDelete destructive volumeInstance*=x volumeInstanceBackup*=x',
  ],
  VolumeInstanceBackupLock: [
    'volumeInstanceBackupLock write volumeInstance*=x volumeInstanceBackup*=x',
  ],
  VolumeInstanceBackupRestore: [
    'volumeInstanceBackupRestore destructive service*=x volumeInstance*=x volumeInstanceBackup*=x',
  ],
  VolumeInstanceBackupScheduleUpdate: [
    'volumeInstanceBackupScheduleUpdate destructive volumeInstance*=x',
  ],
  VolumeInstancePitrRestore: ['volumeInstancePITRRestore write volumeInstance*=x'],
  VolumeMountPathUpdate: ['volumeInstanceUpdate write environment=stg service=svc volume=x'],
  VolumeNameUpdate: ['volumeUpdate write volume*=x'],
}
