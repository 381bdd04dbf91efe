import type { Json } from '../../../../src/lib/json.ts'
import { document, type GateAttack } from './attack.ts'

const refused = (
  name: string,
  query: string,
  variables?: Json,
  more: Partial<GateAttack> = {},
): GateAttack => ({
  name,
  family: 'graphql',
  lease: 'narrow',
  code: 'operation_denied',
  send: document(query, variables),
  ...more,
})
const wide = (name: string, query: string, variables?: Json): GateAttack =>
  refused(name, query, variables, { lease: 'wide' })

const writer = (name: string, query: string, variables?: Json): GateAttack => ({
  ...refused(name, query, variables),
  lease: 'writer',
})

const PATCH =
  'mutation($p:EnvironmentConfig){environmentPatchCommit(environmentId:"«staging»",patch:$p)}'
const REDEPLOY = (below: string) =>
  `mutation{deploymentRedeploy(id:"«webStagingDeployment»"){${below}}}`

/** All of these touch the task's own things, or nothing: it is the operation that is not allowed. */
export const GRAPHQL_RULES: readonly GateAttack[] = [
  refused('its own volume', 'mutation{volumeDelete(volumeId:"«cache»")}'),
  refused(
    'its own volume behind the alias of an allowed operation',
    'mutation{deploymentRedeploy:volumeDelete(volumeId:"«cache»")}',
  ),
  refused(
    'its own volume beside an allowed operation',
    'mutation{deploymentRedeploy(id:"«webStagingDeployment»"){id} volumeDelete(volumeId:"«cache»")}',
  ),
  writer(
    'its own volume set to deleted',
    'mutation{volumeInstanceUpdate(volumeId:"«cache»",environmentId:"«staging»",input:{state:DELETED})}',
  ),
  writer(
    'its own volume taken off its service',
    'mutation($s:String){volumeInstanceUpdate(volumeId:"«cache»",environmentId:"«staging»",input:{serviceId:$s})}',
    { s: null },
  ),
  refused(
    'its own backup',
    'mutation{volumeInstanceBackupDelete(volumeInstanceId:"«cacheStaging»",volumeInstanceBackupId:"«cacheBackup»"){workflowId}}',
  ),
  refused('its own service', 'mutation{serviceDelete(id:"«web»",environmentId:"«staging»")}'),
  writer('a patch that deletes', PATCH, { p: { services: { '«web»': { isDeleted: true } } } }),
  writer('a patch that deletes deep inside', PATCH, {
    p: { services: { '«web»': { networking: { customDomains: { 'a.example': null } } } } },
  }),
  writer('a patch that runs a command', PATCH, {
    p: { services: { '«web»': { deploy: { startCommand: 'sh' } } } },
  }),
  writer('a patch with a key nobody knows', PATCH, { p: { databases: {} } }),
  refused(
    'what somebody staged before',
    'mutation{environmentPatchCommitStaged(environmentId:"«staging»")}',
    undefined,
    {
      staged: { environment: '«staging»', patch: { services: { '«web»': { isDeleted: true } } } },
    },
  ),
  writer(
    'a deletion staged for later',
    'mutation{environmentStageChanges(environmentId:"«staging»",input:{services:{x:null}}){id}}',
  ),
  writer(
    'variables replaced',
    'mutation{variableCollectionUpsert(input:{projectId:"«shop»",environmentId:"«staging»",replace:true,variables:{}})}',
  ),
  writer('a patch that takes the last replica', PATCH, {
    p: { services: { '«web»': { deploy: { numReplicas: 0 } } } },
  }),
  writer('a patch that sets a variable', PATCH, {
    p: { services: { '«web»': { variables: { NODE_OPTIONS: { value: '-r ./x' } } } } },
  }),
  writer('a patch that deletes a variable by null', PATCH, {
    p: { services: { '«web»': { variables: { DATABASE_URL: null } } } },
  }),
  writer(
    'variables replaced by the value of a variable',
    'mutation($r:Boolean){variableCollectionUpsert(input:{projectId:"«shop»",environmentId:"«staging»",replace:$r,variables:{A:"1"}})}',
    { r: true },
  ),
  writer(
    'a variable set to nothing',
    'mutation{variableCollectionUpsert(input:{projectId:"«shop»",environmentId:"«staging»",variables:{A:null}})}',
  ),
  refused(
    'a variable of its own service',
    'mutation{variableUpsert(input:{projectId:"«shop»",environmentId:"«staging»",name:"NODE_OPTIONS",value:"-r ./x"})}',
  ),
  writer(
    'a command of its own service',
    'mutation{serviceInstanceUpdate(environmentId:"«staging»",serviceId:"«web»",input:{startCommand:"sh"})}',
  ),
  refused('its own variables', 'query{variables(projectId:"«shop»",environmentId:"«staging»")}'),
  refused(
    'secrets below an allowed mutation',
    REDEPLOY('environment{config(decryptVariables:true)}'),
  ),
  refused(
    'secrets below an allowed mutation, where decrypting is the default',
    REDEPLOY('environment{config}'),
  ),
  refused(
    'secrets behind an alias below a read',
    'query{environment(id:"«staging»"){name:config(decryptVariables:true)}}',
  ),
  refused(
    'secrets by a variable below a read',
    'query($d:Boolean){environment(id:"«staging»"){config(decryptVariables:$d)}}',
    { d: true },
  ),
  refused(
    'a token of its own environment',
    'mutation{projectTokenCreate(input:{projectId:"«shop»",environmentId:"«staging»",name:"x"})}',
  ),
  wide('a mutation that nobody knows', 'mutation{volumeDestroy(volumeId:"«pgdata»")}'),
  wide('a mutation in other letters', 'mutation{VolumeDelete(volumeId:"«pgdata»")}'),
  wide('a mutation sent as a query', 'query{volumeDelete(volumeId:"«pgdata»")}'),
  wide('an argument that nobody knows', 'mutation{volumeDelete(volumeId:"«cache»",force:true)}'),
  wide(
    'an input field that nobody knows',
    'mutation{serviceInstanceUpdate(serviceId:"«web»",environmentId:"«staging»",input:{environmentIds:["«production»"]})}',
  ),
  wide('a directive that nobody knows', 'query{environment(id:"«staging»")@defer{id}}'),
  wide('a name that every object answers to', 'mutation{constructor}'),
  wide(
    'a staged commit after a staging',
    'mutation{environmentStageChanges(environmentId:"«staging»",input:{}){id} environmentPatchCommitStaged(environmentId:"«staging»")}',
  ),
  wide(
    'two staged commits',
    'mutation{a:environmentPatchCommitStaged(environmentId:"«staging»") b:environmentPatchCommitStaged(environmentId:"«production»")}',
  ),
  wide(
    'a staged commit that may be skipped',
    'mutation{environmentPatchCommitStaged(environmentId:"«staging»")@skip(if:false)}',
  ),
  wide(
    'what token it is, beside something else',
    'query{projectToken{id} environment(id:"«staging»"){id}}',
  ),
  wide('more of the token than it has', 'query{projectToken{project{id name createdAt}}}'),
]
