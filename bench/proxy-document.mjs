// The request that every proxy in bench/proxy.mjs carries: 2 KB of GraphQL that Railway's own clients
// could send. Each operation names its environment by argument, so no look-up dilutes what is measured.

export const HOST = 'backboard.railway.com'
export const PATH = '/graphql/v2'
export const PROJECT = '0b3c8f6e-2f2d-4d56-9a0e-5f8f4b1c0001'
export const ENVIRONMENT = '0b3c8f6e-2f2d-4d56-9a0e-5f8f4b1c0002'

const INSTANCES =
  'serviceInstances(first: 50) { edges { node { id serviceId serviceName region createdAt updatedAt latestDeployment { id status createdAt url } } } }'
const VOLUMES =
  'volumeInstances(first: 50) { edges { node { id volumeId mountPath sizeMB currentSizeMB state createdAt } } }'
const ALIASES = ['overview', 'services', 'volumes', 'before', 'after', 'last']

export const BODY = bodyOf(ALIASES)

/** As many that ask the same in other words: no two have an alias in common. */
export function variants(count) {
  return Array.from({ length: count }, (_, n) => bodyOf(ALIASES.map((alias) => `${alias}${n}`)))
}

function bodyOf(aliases) {
  const query = `query Staging($id: String!) {
${aliases.map((alias) => `  ${alias}: environment(id: $id) { id name isEphemeral ${INSTANCES} ${VOLUMES} }`).join('\n')}
}`
  return JSON.stringify({ query, operationName: 'Staging', variables: { id: ENVIRONMENT } })
}

/** About as large as the question. */
export const ANSWER = JSON.stringify({
  data: { overview: { id: ENVIRONMENT, pad: 'x'.repeat(2000) } },
})
