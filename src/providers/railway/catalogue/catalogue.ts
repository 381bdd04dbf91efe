import { type Catalogue, RISKS, type Risk } from '../../../core/risk.ts'
import { operationFacts, operationNames } from './operations.ts'
import { secretFieldNames } from './secrets.ts'
import type { OperationKind } from './shapes.ts'

/** `POST /project/…/up`: the upload of what is built and run next. Not GraphQL. */
export const UPLOAD = 'up'

/** Fields every GraphQL schema has (GraphQL specification, October 2021, §4): they read the schema. */
export const META_FIELDS: readonly string[] = ['__typename', '__schema', '__type']

/**
 * Operations whose payload may make them worse than their own name says. "name:risk" is then asked
 * for beside the name, so whoever allows the one by name has not allowed the other.
 */
const WORSE: readonly (readonly [name: string, risks: readonly Risk[]])[] = [
  ['bucketCredentialsReset', ['secret']],
  ['environmentApplyChangeSet', ['execute']],
  ['environmentCreate', ['secret', 'execute']],
  ['environmentPatchCommit', ['execute', 'destructive']],
  ['environmentPatchCommitStaged', ['execute', 'destructive']],
  ['environmentStageChanges', ['execute', 'destructive']],
  ['pluginResetCredentials', ['secret']],
  ['projectUpdate', ['admin']],
  ['serviceCreate', ['execute']],
  ['serviceInstanceDeploy', ['execute']],
  ['serviceInstanceDeployV2', ['execute']],
  ['serviceInstanceUpdate', ['execute', 'destructive']],
  ['variableCollectionUpsert', ['destructive']],
  ['volumeInstanceUpdate', ['destructive']],
]

const KINDS: readonly OperationKind[] = ['query', 'mutation', 'subscription']

/**
 * Everything a template can name: root fields, the upload, "name:risk" for payloads, and
 * "Type.field" for fields that show credentials wherever they stand.
 */
export const railwayCatalogue: Catalogue = { operations: collect(), open: false }

/** The risk of a name, as every rule sees it. */
export function riskOf(name: string): Risk {
  return railwayCatalogue.operations.get(name) ?? 'admin'
}

function collect(): ReadonlyMap<string, Risk> {
  const found = new Map<string, Risk>()
  for (const kind of KINDS) {
    for (const name of operationNames(kind)) {
      found.set(name, higher(found.get(name), operationFacts(kind, name)?.risk ?? 'admin'))
    }
  }
  for (const name of META_FIELDS) found.set(name, 'read')
  for (const name of secretFieldNames()) found.set(name, 'secret')
  for (const [name, risks] of WORSE) for (const risk of risks) found.set(`${name}:${risk}`, risk)
  found.set(UPLOAD, 'execute')
  return found
}

/** `RISKS` stands in order of harm. A name that is a query and a mutation has the mutation's risk. */
function higher(one: Risk | undefined, other: Risk): Risk {
  return one !== undefined && RISKS.indexOf(one) > RISKS.indexOf(other) ? one : other
}
