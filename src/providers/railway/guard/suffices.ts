import type { Classified, EnvironmentSource, Operation } from '../../../core/guard.ts'

/**
 * What belongs to the project although an environment is named: environments and services come and
 * go, tokens are made. Railway documents no list of what project tokens may do.
 */
const OF_THE_PROJECT: ReadonlySet<string> = new Set([
  'bucketCreate',
  'dockerComposeImport',
  'environmentCreate',
  'environmentDelete',
  'environmentRename',
  'githubRepoDeploy',
  'pluginCreate',
  'pluginDelete',
  'projectTokenCreate',
  'projectTokenDelete',
  'serviceCreate',
  'serviceDelete',
  'serviceDuplicate',
  'templateDeploy',
  'templateDeployV2',
  'volumeCreate',
])

/** Kinds that are the project's even where all of it lies in one environment. */
const WHOLE: ReadonlySet<string> = new Set([
  'bucket',
  'integration',
  'notificationRule',
  'plugin',
  'project',
  'projectToken',
])

/** Ids that only say more exactly where in an environment something is. */
const QUALIFIERS: ReadonlySet<string> = new Set(['project', 'service', 'volume'])

/**
 * True where everything a request does is bound to an environment, so that a project token, which is
 * one environment's, can do it. What is about a project or about nothing in particular needs the
 * connection's own.
 */
export function mintedSuffices({ operations }: Classified): boolean {
  return operations.length > 0 && operations.every(isBound)
}

function isBound({ name, environments }: Operation): boolean {
  const [plain = ''] = name.split(':')
  if (OF_THE_PROJECT.has(plain)) return false
  return environments.some(binds) && environments.every((each) => binds(each) || qualifies(each))
}

function binds(source: EnvironmentSource): boolean {
  if (source.from === 'argument') return true
  if (source.from !== 'lookup' || source.match !== 'environment') return false
  return !WHOLE.has(source.resource.kind)
}

function qualifies(source: EnvironmentSource): boolean {
  return source.from === 'lookup' && QUALIFIERS.has(source.resource.kind)
}
