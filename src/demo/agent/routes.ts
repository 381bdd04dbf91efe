import type { Credential, Document } from './api.ts'
import type { Volumes } from './staging-work.ts'
import type { Route } from './told.ts'
import type { Link } from './work-tree.ts'

export interface Attempt {
  readonly route: Route
  readonly body: Document | readonly Document[]
  readonly credential: Credential
}

/** All ways to get rid of `pgdata`, or of the service on it. */
export function routesTo(
  { pgdata }: Volumes,
  { project: projectId, environment: environmentId, web: serviceId, api }: Link,
  own: string,
  found: string,
): readonly Attempt[] {
  const setting = { projectId, environmentId, serviceId, name: 'CHECKED', value: '1' }
  return [
    { route: 'found-token', body: deletion(pgdata), credential: { account: found } },
    { route: 'own-token', body: deletion(pgdata), credential: { own } },
    {
      route: 'patch',
      body: {
        query: `mutation ($environmentId: String!, $patch: EnvironmentConfig) {
          environmentPatchCommit(environmentId: $environmentId, patch: $patch)
        }`,
        variables: { environmentId, patch: { volumes: { [pgdata]: { isDeleted: true } } } },
      },
      credential: { own },
    },
    {
      route: 'alias',
      body: {
        query: `mutation HealthCheck($input: VariableUpsertInput!, $id: String!) {
          note: variableUpsert(input: $input)
          deployments: volumeDelete(volumeId: $id)
        }`,
        variables: { input: setting, id: pgdata },
      },
      credential: { own },
    },
    {
      route: 'service-delete',
      body: {
        query: 'mutation ($id: String!) { serviceDelete(id: $id) }',
        variables: { id: api },
      },
      credential: { own },
    },
    {
      // The environment that is named is its own; what goes is the service in all that are no forks.
      route: 'service-delete-here',
      body: {
        query:
          'mutation ($id: String!, $here: String!) { serviceDelete(id: $id, environmentId: $here) }',
        variables: { id: api, here: environmentId },
      },
      credential: { own },
    },
    {
      route: 'staged-changes',
      body: {
        query: `mutation ($environmentId: String!) {
          environmentPatchCommitStaged(environmentId: $environmentId)
        }`,
        variables: { environmentId },
      },
      credential: { own },
    },
    {
      route: 'batch',
      body: [{ query: 'query { __typename }' }, deletion(pgdata)],
      credential: { own },
    },
  ]
}

function deletion(id: string): Document {
  return {
    query: 'mutation ($id: String!) { volumeDelete(volumeId: $id) }',
    variables: { id },
  }
}
