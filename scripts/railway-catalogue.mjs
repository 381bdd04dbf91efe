// Writes src/providers/railway/catalogue/{shapes,operations}.json from an introspection of Railway's
// API and a table of its mutations (name, risk, …, flags; tab-separated), and prints what nobody has
// judged yet. What the tables below say overrules the input: they are the judgement, it is the list.
//
//   node scripts/railway-catalogue.mjs INTROSPECTION.json MUTATIONS.tsv
//
// With a later introspection as well (the one that a newer client is built against) it writes, instead
// of the two, newer.json: only what that one has beyond the first. SOURCE says where it is from.
//
//   node scripts/railway-catalogue.mjs INTROSPECTION.json MUTATIONS.tsv LATER.json SOURCE
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const words = (text) => text.trim().split(/\s+/)
const folder = join(import.meta.dirname, '..', 'src', 'providers', 'railway', 'catalogue')
const [introspection, table, later, source] = process.argv.slice(2)
// The introspection that is being read, and its types by name.
let schema
let types
function readSchema(path) {
  const read = JSON.parse(readFileSync(path, 'utf8'))
  schema = (read.data ?? read).__schema
  types = new Map(schema.types.map((type) => [type.name, type]))
}
const rows = new Map(
  readFileSync(table, 'utf8')
    .split('\n')
    .slice(1)
    .filter(Boolean)
    .map((line) => line.split('\t'))
    .map(([name, risk, , , , flags]) => [name, { risk, flags: flags ?? '' }]),
)

// --- risk -------------------------------------------------------------------------------------

// Base risks that differ from the table. Where a payload decides, the base is the harmless form and
// guard/payload.ts adds "name:risk"; variables are what a process reads when it starts. A name that is
// both a query and a mutation has the higher risk for both: a rule names only the name.
const RISK = new Map(
  Object.entries({
    write:
      'environmentPatchCommit environmentPatchCommitStaged environmentStageChanges volumeInstanceUpdate serviceInstanceUpdate serviceCreate',
    execute:
      'variableUpsert variableCollectionUpsert sharedVariableConfigure deploymentTriggerUpdate deploymentApprove githubRepoUpdate sandboxTemplateBuild agentBootstrapSave',
    secret: 'variables variablesForServiceDeployment bucketS3Credentials projectInviteCode',
    destructive: 'agentBootstrapDelete',
    admin: 'webhookTest adminVolumeInstancesForVolume cloudAgentHarnessToken',
  }).flatMap(([risk, names]) => words(names).map((name) => [name, risk])),
)

// --- where the environment stands ---------------------------------------------------------------

// About the caller's own token, or about nothing that anybody owns.
const LEASE = new Set(
  words(`projectToken platformStatus publicStats regions functionRuntime functionRuntimes templates
    template templateSearch templatesCount templateMetrics changelogBlockImage customDomainAvailable
    serviceDomainAvailable workflowStatus cliEventTrack cliAuthEventTrack setupAgentEventTrack`),
)
// Ids in them do not bind them to one project: account-wide, about templates, or of a kind that
// nothing can be asked about.
const ACCOUNT = new Set(
  words(`agentBootstrap agentBootstrapSave agentBootstrapDelete auditLog auditLogs externalWorkspaces templatePublish templateClone templateVolumeUpdate
    projectClaim resourceAccess adminVolumeInstancesForVolume`),
)
// The last word of an argument's path → what it names.
const KINDS = {
  environment:
    'environmentId sourceEnvironmentId targetEnvironmentId baseEnvironmentId baseEnvironmentOverrideId',
  project: 'projectId demoProjectId',
  service:
    'serviceId rootServiceId existingRootServiceId serviceIds enabledServiceIds disabledServiceIds wipeServiceIds replicaServiceIds',
  serviceInstance: 'serviceInstanceId',
  volume: 'volumeId',
  volumeInstance: 'volumeInstanceId volumeInstanceExternalId',
  volumeInstanceBackup: 'volumeInstanceBackupId',
  deployment: 'deploymentId',
  deploymentInstance: 'deploymentInstanceId instanceId',
  bucket: 'bucketId',
  serviceDomain: 'serviceDomainId',
  privateNetwork: 'privateNetworkId',
  plugin: 'pluginId',
  cloudAgent: 'cloudAgentId',
  sandbox: 'sandboxId sourceSandboxId',
  workspace: 'workspaceId destinationWorkspaceId teamId',
  template: 'templateId',
}
const KIND_OF = new Map(
  Object.entries(KINDS).flatMap(([kind, names]) => words(names).map((name) => [name, kind])),
)
// What a bare "id" (or "ids") names, by operation: the first pattern that fits.
const ID_KINDS = [
  [/^environment(Delete|Rename)?$/, 'environment'],
  [/^environmentPatch$/, 'environmentPatch'],
  [/^projects?(ByIds|Delete|Schedule.*|Update|Transfer.*|Leave|Invite.*|Invitations)?$/, 'project'],
  [/^projectInvitationCreate$/, 'project'],
  [/^projectTokenDelete$/, 'projectToken'],
  [/^service(Connect|Delete|Disconnect|RemoveUpstreamUrl|Update)?$/, 'service'],
  [/^serviceDomain/, 'serviceDomain'],
  [/^(customDomain|domainStatus)/, 'customDomain'],
  [/^(deploymentTrigger|baseEnvironmentOverride)/, 'deploymentTrigger'],
  [/^deployment/, 'deployment'],
  [/^volumeInstance$/, 'volumeInstance'],
  [/^bucketUpdate$/, 'bucket'],
  [/^plugin/, 'plugin'],
  [/^privateNetworkEndpoint/, 'privateNetworkEndpoint'],
  [/^tcpProxyDelete$/, 'tcpProxy'],
  [/^cloudAgent/, 'cloudAgent'],
  [/^sandboxCheckpoint/, 'sandboxCheckpoint'],
  [/^sandboxTemplateBuild$/, 'sandboxTemplateBuild'],
  [/^sandbox/, 'sandbox'],
  [/^integration(Delete|Update)$/, 'integration'],
  [/^notificationRule/, 'notificationRule'],
  [/^notificationDelivery$/, 'notificationDelivery'],
  [/^observabilityDashboard/, 'observabilityDashboard'],
  [/^template/, 'template'],
  [/^workspace|^team$/, 'workspace'],
]
// Kinds that span environments: matched by project where an environment argument says where.
const SPANNING = new Set(['project', 'service', 'volume', 'bucket', 'plugin'])
// The environment they name confines them only where it is a fork; else they reach all that are no
// forks (descriptions of these arguments in the schema). What is a fork cannot be told for certain.
const UNCONFINED = new Set(words('serviceCreate serviceDelete serviceInstanceUpdate'))
// Kinds that say nothing about the environment.
const BESIDE = new Set(['workspace', 'template'])
// Kinds of one environment or one project, never of several.
const IGNORED = new Set(
  words(`integrationAuthId herokuAppId ownershipTransferId memberId userId jobId customerId ruleId
    recordId sourceId traceId deliveryIds resourceIds groupId templateServiceId sessionId agentSessionId
    installRequestId taskId owner providerId workflowId`),
)

const base = (type) => (type.ofType ? base(type.ofType) : type)
const required = (input) => input.type.kind === 'NON_NULL'

/** Every path below the arguments that looks like an id, with whether it may be left out. */
function idPaths(inputs, prefix = '', optional = false, seen = []) {
  return inputs.flatMap((input) => {
    const path = prefix + input.name
    const missing = optional || !required(input)
    const type = base(input.type)
    if (type.kind === 'INPUT_OBJECT') {
      if (seen.includes(type.name)) return []
      const fields = types.get(type.name).inputFields
      return idPaths(fields, `${path}.`, missing, [...seen, type.name])
    }
    return /^(id|ids|owner)$|Ids?$/.test(input.name) ? [{ path, name: input.name, missing }] : []
  })
}

function kindOf(operation, { path, name }) {
  if (path === 'id' || path === 'ids') {
    return ID_KINDS.find(([pattern]) => pattern.test(operation))?.[1]
  }
  return KIND_OF.get(name)
}

function sources(operation, field, mutation) {
  const found = idPaths(field.args).flatMap((entry) => {
    const kind = kindOf(operation, entry)
    if (kind) return [{ ...entry, kind }]
    const deep =
      entry.path.split('.').length > 2 || entry.path === 'id' || entry.path.endsWith('.id')
    if (!deep && !IGNORED.has(entry.name)) console.log(`not judged: ${operation} ${entry.path}`)
    return []
  })
  // The base environment of a project is a setting of the project, not where the change happens.
  const listed =
    operation === 'projectUpdate' ? found.filter(({ kind }) => kind !== 'environment') : found
  if (ACCOUNT.has(operation)) return ['account']
  if (operation === 'regions') return ['lease']
  const bound = listed.filter(({ kind }) => !BESIDE.has(kind))
  const located = bound.some(({ kind }) => kind === 'environment')
  // The id that says where; if that one may be left out, leaving it out means "everywhere".
  const anchor =
    bound.find(({ kind }) => kind === 'environment') ??
    bound.find(({ missing }) => !missing) ??
    bound[0]
  const marks = listed.map((entry) => {
    const { kind, path, missing } = entry
    if (BESIDE.has(kind)) return `${kind}-:${path}`
    const confined = located && !UNCONFINED.has(operation)
    const whole = kind !== 'environment' && (SPANNING.has(kind) ? mutation && !confined : true)
    return `${kind}${whole ? '*' : ''}${entry === anchor && missing ? '?' : ''}:${path}`
  })
  if (LEASE.has(operation)) return ['lease', ...marks]
  return bound.length > 0 ? marks : ['account', ...marks]
}

function riskOf(name, mutation) {
  if (RISK.has(name)) return RISK.get(name)
  const row = mutation ? rows.get(name) : { risk: 'read', flags: '' }
  if (!row) {
    console.log(`not in the table: ${name}`)
    return 'admin'
  }
  if (row.risk === 'telemetry') return 'read'
  return row.risk === 'write' && row.flags.includes('exec') ? 'execute' : row.risk
}

function operationsOf() {
  const operations = {}
  for (const [key, root] of [
    ['query', schema.queryType],
    ['mutation', schema.mutationType],
    ['subscription', schema.subscriptionType],
  ]) {
    operations[key] = {}
    for (const field of types.get(root.name).fields) {
      const mutation = key === 'mutation'
      const risk = riskOf(field.name, mutation)
      operations[key][field.name] = [risk, ...sources(field.name, field, mutation)].join(' ')
    }
  }
  return operations
}

// --- shapes -------------------------------------------------------------------------------------

const COMPOSITE = new Set(['OBJECT', 'INTERFACE', 'UNION'])
const input = (value) => {
  const type = base(value.type)
  const name = type.kind === 'INPUT_OBJECT' ? `:${type.name}` : ''
  return `${value.name}${name}${required(value) && value.defaultValue == null ? '!' : ''}`
}
const field = (value) => {
  const type = base(value.type)
  const args = value.args.length > 0 ? `(${value.args.map(input).join(',')})` : ''
  return `${value.name}${args}${COMPOSITE.has(type.kind) ? `:${type.name}` : ''}`
}
const byName = (a, b) => (a.name < b.name ? -1 : 1)
const collect = (kinds, line) =>
  Object.fromEntries(
    schema.types
      .filter((type) => kinds.includes(type.kind))
      .sort(byName)
      .map((type) => [type.name, line(type)]),
  )
const lines = (values, line) => [...values].sort(byName).map(line).join(' ')
const shapesOf = () => ({
  roots: {
    query: schema.queryType.name,
    mutation: schema.mutationType.name,
    subscription: schema.subscriptionType.name,
  },
  objects: collect(['OBJECT', 'INTERFACE', 'UNION'], (type) => {
    // The two fields that every query root has without saying so.
    const meta =
      type.name === schema.queryType.name ? ' __schema:__Schema __type(name!):__Type' : ''
    return `${lines(type.fields ?? [], field)}${meta}`
  }),
  possible: Object.fromEntries(
    schema.types
      .filter((type) => (type.possibleTypes ?? []).length > 0)
      .sort(byName)
      .map((type) => [type.name, type.possibleTypes.map(({ name }) => name).join(' ')]),
  ),
  inputs: collect(['INPUT_OBJECT'], (type) => lines(type.inputFields, input)),
})

// --- what is newer --------------------------------------------------------------------------------

// Names of things in other environments that nothing can be asked about: what names them stays unknown.
const LEFT_OUT = new Set(
  words('CloudAgentCreateInput.agentBootstrapId CloudAgentCreateInput.cloudAgentCheckpointId'),
)
// Sent by clients although no introspection has it (railwayapp 5.71.0, src/telemetry.rs).
const UNWRITTEN = { CliEventTrackInput: 'ttyStreams' }

/** What the later lines have beyond the earlier ones, line by line and word by word. */
function beyond(before, after, separate) {
  const found = Object.entries(after).flatMap(([name, line]) => {
    const known = new Set(separate(before[name] ?? ''))
    const more = separate(line).filter(
      (word) => !known.has(word) && !LEFT_OUT.has(`${name}.${word}`),
    )
    return more.length > 0 || before[name] === undefined ? [[name, more.join(' ')]] : []
  })
  return Object.fromEntries(found)
}

function newerThan(before, after) {
  const { objects, possible, inputs } = after.shapes
  const whole = (line) => [line].filter(Boolean)
  const kinds = Object.entries(after.operations)
  return {
    source,
    operations: Object.fromEntries(
      kinds.map(([kind, lines]) => [kind, beyond(before.operations[kind], lines, whole)]),
    ),
    objects: beyond(before.shapes.objects, objects, words),
    possible: beyond(before.shapes.possible, possible, words),
    inputs: { ...beyond(before.shapes.inputs, inputs, words), ...UNWRITTEN },
  }
}

function factsIn(path) {
  readSchema(path)
  return { operations: operationsOf(), shapes: shapesOf() }
}

const facts = factsIn(introspection)
const written = later ? { newer: newerThan(facts, factsIn(later)) } : facts
for (const [name, value] of Object.entries(written)) {
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(value, null, 2)}\n`)
}
