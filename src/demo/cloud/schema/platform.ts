/** What belongs to no project: where things may run, who shares, and what is written down while they do. */
export const PLATFORM = `
type RegionDeprecationInfo { isDeprecated: Boolean! replacementRegion: String! }
type RegionDeploymentConstraints { deprecationInfo: RegionDeprecationInfo }
type Region {
  id: String
  name: String!
  country: String!
  location: String!
  region: String
  workspaceId: String
  deploymentConstraints: RegionDeploymentConstraints
}
type ExternalWorkspace { id: String! name: String! projects: [Project!]! teamId: String }
type LogAttribute { key: String! value: String! }
type LogTags {
  deploymentId: String
  deploymentInstanceId: String
  environmentId: String
  pluginId: String
  projectId: String
  serviceId: String
  snapshotId: String
}
type Log {
  attributes: [LogAttribute!]!
  message: String!
  severity: String
  tags: LogTags
  timestamp: String!
}
`
