/** What can be followed over the websocket. */
export const SUBSCRIPTIONS = `
enum DeploymentEventStep {
  BUILD_IMAGE CONFIGURE_NETWORK CREATE_CONTAINER DRAIN_INSTANCES HEALTHCHECK MIGRATE_VOLUMES
  PRE_DEPLOY_COMMAND PUBLISH_IMAGE SNAPSHOT_CODE WAIT_FOR_DEPENDENCIES
}
type DeploymentEventPayload {
  attempt: Int
  detail: String
  durationMs: Int
  error: String
  maxAttempts: Int
  reason: String
  skipped: Boolean
}
type DeploymentEvent implements Node {
  id: ID!
  completedAt: DateTime
  createdAt: DateTime!
  payload: DeploymentEventPayload
  step: DeploymentEventStep!
}
type Subscription {
  buildLogs(deploymentId: String!, filter: String, limit: Int): [Log!]!
  deployment(id: String!): Deployment!
  deploymentEvents(id: String!): DeploymentEvent!
  deploymentLogs(deploymentId: String!, filter: String, limit: Int): [Log!]!
  environmentLogs(afterDate: String, afterLimit: Int, anchorDate: String, beforeDate: String, beforeLimit: Int, environmentId: String!, filter: String): [Log!]!
}
`
