import type { EnvironmentSource, Resource } from '../../../core/guard.ts'
import type { Risk } from '../../../core/risk.ts'
import { isObject, type Json } from '../../../lib/json.ts'
import type { Arguments } from './arguments.ts'
import { judgePatch, stopsReplicas } from './patch.ts'
import { variable, variablesIn } from './variable.ts'

/** What the arguments of an operation add to what its name says. */
export interface PayloadFacts {
  /** Each becomes an operation of its own, "name:risk". */
  readonly risks: Iterable<Risk>
  readonly resources?: readonly Resource[]
  readonly environments?: readonly EnvironmentSource[]
}

type Rule = (args: Arguments) => PayloadFacts

/** Settings of a service that do not choose what runs. Every other one counts as `execute`. */
const INSTANCE_SETTINGS: ReadonlySet<string> = new Set([
  'cronSchedule',
  'drainingSeconds',
  'healthcheckPath',
  'healthcheckTimeout',
  'ipv6EgressEnabled',
  'multiRegionConfig',
  'numReplicas',
  'overlapSeconds',
  'region',
  'restartPolicyMaxRetries',
  'restartPolicyType',
  'sleepApplication',
  'watchPatterns',
])

/** A new service that is only a name and a place; a source, variables or a template make it run. */
const EMPTY_SERVICE: ReadonlySet<string> = new Set(['environmentId', 'icon', 'name', 'projectId'])

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['bucketCredentialsReset', () => ({ risks: ['secret'] })],
  ['pluginResetCredentials', () => ({ risks: ['secret'] })],
  // An opaque list of changes whose form nobody has published.
  ['environmentApplyChangeSet', () => ({ risks: ['execute'] })],
  // A clone takes variables along, and what it clones is deployed.
  ['environmentCreate', (args) => when(isGiven(args, 'sourceEnvironmentId'), 'secret', 'execute')],
  ['environmentPatchCommit', (args) => judgePatch(args.get('patch'))],
  ['environmentStageChanges', (args) => judgePatch(args.get('input'))],
  // What was staged is not in the request: the worst, until it has been read (staged.ts).
  ['environmentPatchCommitStaged', () => ({ risks: ['execute', 'destructive'] })],
  [
    'projectUpdate',
    (args) => when(isGiven(args, 'isPublic') && inputOf(args, 'isPublic') !== false, 'admin'),
  ],
  ['serviceCreate', (args) => when(!onlyKeys(args, EMPTY_SERVICE), 'execute')],
  // A commit of the caller's choice instead of the one the service follows.
  ['serviceInstanceDeploy', (args) => when((args.get('commitSha') ?? null) !== null, 'execute')],
  ['serviceInstanceDeployV2', (args) => when((args.get('commitSha') ?? null) !== null, 'execute')],
  ['serviceInstanceUpdate', serviceInstanceUpdate],
  ['variableCollectionUpsert', variableCollectionUpsert],
  ['variableDelete', (args) => ({ risks: [], resources: variable(inputOf(args, 'name')) })],
  ['variableUpsert', (args) => ({ risks: [], resources: variable(inputOf(args, 'name')) })],
  ['volumeInstanceUpdate', volumeInstanceUpdate],
])

/** What the payload makes of an operation. Without a rule the name says it all. */
export function judgePayload(name: string, args: Arguments): PayloadFacts {
  return RULES.get(name)?.(args) ?? { risks: [] }
}

function serviceInstanceUpdate(args: Arguments): PayloadFacts {
  const risks: Risk[] = []
  if (!onlyKeys(args, INSTANCE_SETTINGS)) risks.push('execute')
  const regions = inputOf(args, 'multiRegionConfig')
  const emptied = regions === null || (isObject(regions) && Object.values(regions).includes(null))
  if (stopsReplicas(inputOf(args, 'numReplicas')) || emptied) risks.push('destructive')
  return { risks }
}

/** `replace` takes away every variable that is not listed; so does a value that is not a text. */
function variableCollectionUpsert(args: Arguments): PayloadFacts {
  const replaces = (inputOf(args, 'replace') ?? false) !== false
  const variables = inputOf(args, 'variables')
  const plain = isObject(variables) && Object.values(variables).every((value) => value !== null)
  return { ...when(replaces || !plain, 'destructive'), resources: variablesIn(variables) }
}

/** Any `state` of one's own choice is a way to DELETED; a service of null takes the volume off it. */
function volumeInstanceUpdate(args: Arguments): PayloadFacts {
  const detaches = inputOf(args, 'serviceId') === null
  return when(detaches || inputOf(args, 'state') !== undefined, 'destructive')
}

function when(condition: boolean, ...risks: readonly Risk[]): PayloadFacts {
  return { risks: condition ? risks : [] }
}

/** A field of the argument `input`; undefined where it does not stand there. */
function inputOf(args: Arguments, key: string): Json | undefined {
  const input = args.get('input')
  return isObject(input) && Object.hasOwn(input, key) ? input[key] : undefined
}

function isGiven(args: Arguments, key: string): boolean {
  return (inputOf(args, key) ?? null) !== null
}

function onlyKeys(args: Arguments, known: ReadonlySet<string>): boolean {
  const input = args.get('input')
  return isObject(input) && Object.keys(input).every((key) => known.has(key))
}
