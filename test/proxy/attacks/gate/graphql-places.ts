import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import type { Json } from '../../../../src/lib/json.ts'
import { document, type GateAttack, post, WIPE } from './attack.ts'

const at = (
  code: DenialCode,
  name: string,
  query: string,
  variables?: Json,
  more: Partial<GateAttack> = {},
): GateAttack => ({
  name,
  family: 'graphql',
  lease: 'wide',
  code,
  send: document(query, variables),
  ...more,
})
const elsewhere = (name: string, query: string, variables?: Json) =>
  at('environment_mismatch', name, query, variables)
const unknown = (name: string, query: string, variables?: Json) =>
  at('environment_unknown', name, query, variables)

const PATCH =
  'mutation($p:EnvironmentConfig){environmentPatchCommit(environmentId:"«staging»",patch:$p)}'
const COMMIT = 'mutation{environmentPatchCommitStaged(environmentId:"«staging»")}'
const named = (operationName: string, query: string) =>
  post(JSON.stringify({ query, operationName }))

/** All of these are allowed by name: it is what they touch that is not the task's. */
export const GRAPHQL_PLACES: readonly GateAttack[] = [
  elsewhere('the volume that production shares, with its backups', WIPE),
  elsewhere('the volume behind an alias', 'mutation{restart:volumeDelete(volumeId:"«pgdata»")}'),
  elsewhere(
    'the volume in an inline fragment',
    'mutation{... on Mutation{...{volumeDelete(volumeId:"«pgdata»")}}}',
  ),
  elsewhere(
    'the volume two fragments deep',
    'mutation{...A} fragment A on Mutation{...B} fragment B on Mutation{volumeDelete(volumeId:"«pgdata»")}',
  ),
  elsewhere(
    'the volume after one that is its own',
    'mutation{a:volumeDelete(volumeId:"«cache»") b:volumeDelete(volumeId:"«pgdata»")}',
  ),
  elsewhere(
    'the volume beside a redeployment',
    'mutation{deploymentRedeploy(id:"«webStagingDeployment»"){id} volumeDelete(volumeId:"«pgdata»")}',
  ),
  elsewhere(
    'the volume as the default of a variable',
    'mutation($v:String!="«pgdata»"){volumeDelete(volumeId:$v)}',
  ),
  elsewhere(
    'the volume in a variable that has its own volume as the default',
    'mutation($v:String="«cache»"){volumeDelete(volumeId:$v)}',
    { v: '«pgdata»' },
  ),
  elsewhere('the volume in unicode escapes', 'mutation{volumeDelete(volumeId:"«pgdata:escaped»")}'),
  elsewhere(
    'the volume in a block string',
    'mutation{volumeDelete(volumeId:"""\n    «pgdata»\n  """)}',
  ),
  elsewhere(
    'the volume between comments and commas',
    'mutation,{#}\n,volumeDelete#(volumeId:"«cache»")\n,(volumeId:,"«pgdata»",)#}\n}',
  ),
  elsewhere(
    'the volume under a condition that says to skip it',
    'mutation($s:Boolean!){volumeDelete(volumeId:"«pgdata»")@skip(if:$s) __typename}',
    { s: true },
  ),
  elsewhere(
    'the volume under a condition that says not to include it',
    'mutation{...@include(if:false){volumeDelete(volumeId:"«pgdata»")} __typename}',
  ),
  elsewhere(
    'the volume under a condition with a default',
    'mutation($s:Boolean=true){volumeDelete(volumeId:"«pgdata»")@skip(if:$s) __typename}',
  ),
  at('environment_mismatch', 'the volume in the operation that is chosen by name', '', undefined, {
    send: named('Wipe', `query Look{__typename} mutation Wipe{volumeDelete(volumeId:"«pgdata»")}`),
  }),
  at('environment_mismatch', 'the volume where the first operation is harmless', '', undefined, {
    send: named(
      'B',
      'mutation A{deploymentRestart(id:"«webStagingDeployment»")} mutation B{volumeDelete(volumeId:"«pgdata»")}',
    ),
  }),
  elsewhere('a volume that is production’s alone', 'mutation{volumeDelete(volumeId:"«orders»")}'),
  unknown(
    'a volume that nobody knows',
    'mutation{volumeDelete(volumeId:"00000000-0000-4000-8000-000000000000")}',
  ),
  elsewhere(
    'the id of an instance where a volume is expected',
    'mutation{volumeInstanceBackupCreate(volumeInstanceId:"«pgdataProduction»",name:"x"){workflowId}}',
  ),
  unknown('a service in every environment', 'mutation{serviceDelete(id:"«web»")}'),
  unknown(
    'a service with an environment of null',
    'mutation{serviceDelete(id:"«web»",environmentId:null)}',
  ),
  unknown(
    'a service with an environment that is never given',
    'mutation($e:String){serviceDelete(id:"«web»",environmentId:$e)}',
    {},
  ),
  unknown(
    'a service with a null that beats the default',
    'mutation($e:String="«staging»"){serviceDelete(id:"«web»",environmentId:$e)}',
    { e: null },
  ),
  elsewhere(
    'a service in production by a variable that beats the default',
    'mutation($e:String="«staging»"){serviceDelete(id:"«web»",environmentId:$e)}',
    { e: '«production»' },
  ),
  elsewhere(
    'a service that production shares, in its own environment, which is no fork',
    'mutation{serviceDelete(id:"«web»",environmentId:"«staging»")}',
  ),
  elsewhere(
    'the same by variables and an alias',
    'mutation($i:String!,$e:String){redeploy:serviceDelete(environmentId:$e,id:$i)}',
    { i: '«api»', e: '«staging»' },
  ),
  elsewhere(
    'the same behind one that is its own',
    'mutation{a:serviceDelete(id:"«worker»",environmentId:"«staging»") b:serviceDelete(id:"«web»",environmentId:"«staging»")}',
  ),
  elsewhere(
    'a service that is production’s alone, by the name of its own environment',
    'mutation{serviceDelete(id:"«ledger»",environmentId:"«staging»")}',
  ),
  elsewhere(
    'the replicas of a shared service, by the name of its own environment',
    'mutation{serviceInstanceUpdate(serviceId:"«web»",environmentId:"«staging»",input:{numReplicas:9})}',
  ),
  elsewhere(
    'the command of a shared service, by the name of its own environment',
    'mutation($i:ServiceInstanceUpdateInput!){serviceInstanceUpdate(serviceId:"«web»",environmentId:"«staging»",input:$i)}',
    { i: { startCommand: 'sh' } },
  ),
  elsewhere(
    'a new service, in its own environment and all that are no forks',
    'mutation{serviceCreate(input:{projectId:"«shop»",environmentId:"«staging»",name:"x"}){id}}',
  ),
  elsewhere(
    'a new service that runs an image',
    'mutation($i:ServiceCreateInput!){serviceCreate(input:$i){id}}',
    { i: { projectId: '«shop»', environmentId: '«staging»', source: { image: 'x' } } },
  ),
  unknown(
    'a service of another project in its own environment',
    'mutation{serviceDelete(id:"«invoices»",environmentId:"«staging»")}',
  ),
  elsewhere(
    'the environment in capitals',
    'mutation{serviceDelete(id:"«web»",environmentId:"«staging:upper»")}',
  ),
  unknown(
    'volumes set to deleted in every environment',
    'mutation{volumeInstanceUpdate(volumeId:"«pgdata»",input:{state:DELETED})}',
  ),
  elsewhere(
    'a volume set to deleted in production',
    'mutation{volumeInstanceUpdate(volumeId:"«pgdata»",environmentId:"«production»",input:{state:DELETED})}',
  ),
  elsewhere(
    'a volume put on a service of another project',
    'mutation{volumeInstanceUpdate(volumeId:"«cache»",environmentId:"«staging»",input:{serviceId:"«invoices»"})}',
  ),
  elsewhere(
    'a backup of production',
    'mutation{volumeInstanceBackupDelete(volumeInstanceId:"«pgdataProduction»",volumeInstanceBackupId:"«backup»"){workflowId}}',
  ),
  elsewhere(
    'a backup of production, with its own instance beside it',
    'mutation{volumeInstanceBackupDelete(volumeInstanceId:"«pgdataStaging»",volumeInstanceBackupId:"«backup»"){workflowId}}',
  ),
  elsewhere(
    'production restored to an old backup',
    'mutation{volumeInstanceBackupRestore(volumeInstanceId:"«pgdataProduction»",volumeInstanceBackupId:"«backup»"){workflowId}}',
  ),
  elsewhere(
    'a service that production shares wiped along with a restore of its own',
    'mutation{volumeInstanceBackupRestore(volumeInstanceId:"«cacheStaging»",volumeInstanceBackupId:"«cacheBackup»",wipeServiceIds:["«web»"]){workflowId}}',
  ),
  unknown(
    'services of another project wiped along with a restore of its own',
    'mutation{volumeInstanceBackupRestore(volumeInstanceId:"«cacheStaging»",volumeInstanceBackupId:"«cacheBackup»",wipeServiceIds:["«invoices»"]){workflowId}}',
  ),
  elsewhere('the whole environment', 'mutation{environmentDelete(id:"«production»")}'),
  elsewhere('the whole project', 'mutation{projectDelete(id:"«shop»")}'),
  elsewhere('another project', 'mutation{projectDelete(id:"«billing»")}'),
  elsewhere('a volume deleted by a patch', PATCH, {
    p: { volumes: { '«pgdata»': { isDeleted: true } } },
  }),
  elsewhere('a volume deleted by a null in a patch', PATCH, {
    p: { volumes: { '«pgdata»': null } },
  }),
  elsewhere('a volume that the patch says it creates, and deletes', PATCH, {
    p: { volumes: { '«pgdata»': { isCreated: true, isDeleted: true } } },
  }),
  unknown(
    'a volume that nobody knows deleted by a literal patch',
    'mutation{environmentPatchCommit(environmentId:"«staging»",patch:{volumes:{pgdata:null}})}',
  ),
  elsewhere(
    'a patch of production',
    'mutation{environmentPatchCommit(environmentId:"«production»",patch:{})}',
  ),
  elsewhere('a patch with a service of another project', PATCH, {
    p: { services: { '«invoices»': { deploy: { numReplicas: 2 } } } },
  }),
  elsewhere(
    'a deletion staged for later',
    'mutation($p:EnvironmentConfig!){environmentStageChanges(environmentId:"«staging»",input:$p){id}}',
    { p: { volumes: { '«pgdata»': { isDeleted: true } } } },
  ),
  at('environment_mismatch', 'a deletion that somebody staged before', COMMIT, undefined, {
    staged: { environment: '«staging»', patch: { volumes: { '«pgdata»': { isDeleted: true } } } },
  }),
  at('environment_mismatch', 'a null that somebody staged before', COMMIT, undefined, {
    staged: { environment: '«staging»', patch: { volumes: { '«pgdata»': null } } },
  }),
  elsewhere(
    'what is staged in production',
    'mutation{environmentPatchCommitStaged(environmentId:"«production»")}',
  ),
  elsewhere(
    'a variable of production',
    'mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}',
    { i: { projectId: '«shop»', environmentId: '«production»', name: 'A', value: 'b' } },
  ),
  elsewhere(
    'a variable of its own environment in another project',
    'mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}',
    { i: { projectId: '«billing»', environmentId: '«staging»', name: 'A', value: 'b' } },
  ),
  elsewhere(
    'all variables of production replaced by nothing',
    'mutation{variableCollectionUpsert(input:{projectId:"«shop»",environmentId:"«production»",replace:true,variables:{}})}',
  ),
  elsewhere(
    'a variable of production deleted',
    'mutation{variableDelete(input:{projectId:"«shop»",environmentId:"«production»",name:"REGION"})}',
  ),
  elsewhere(
    'the variables of production',
    'query{variables(projectId:"«shop»",environmentId:"«production»")}',
  ),
  elsewhere(
    'the variables of production beside its own',
    'query{a:variables(projectId:"«shop»",environmentId:"«staging»") b:variables(projectId:"«shop»",environmentId:"«production»",serviceId:"«api»")}',
  ),
  elsewhere(
    'what a service of production is deployed with',
    'query{variablesForServiceDeployment(projectId:"«shop»",environmentId:"«production»",serviceId:"«api»")}',
  ),
  elsewhere('production itself', 'query{environment(id:"«production»"){id name}}'),
  elsewhere('another project of the account', 'query{project(id:"«billing»"){name}}'),
  elsewhere(
    'an environment cloned from production, variables and all',
    'mutation{environmentCreate(input:{projectId:"«shop»",name:"mine",sourceEnvironmentId:"«production»"}){id}}',
  ),
  unknown(
    'an environment made from nothing',
    'mutation{environmentCreate(input:{projectId:"«shop»",name:"mine"}){id}}',
  ),
  elsewhere(
    'production merged with staging',
    'mutation{canvasViewMerge(sourceEnvironmentId:"«staging»",targetEnvironmentId:"«production»")}',
  ),
  elsewhere(
    'a token for production',
    'mutation{projectTokenCreate(input:{projectId:"«shop»",environmentId:"«production»",name:"x"})}',
  ),
  elsewhere(
    'the token that production’s deployments need',
    'mutation{projectTokenDelete(id:"«productionToken»")}',
  ),
  elsewhere('a token of the account', 'mutation{apiTokenCreate(input:{name:"x"})}'),
  elsewhere('the tokens of the account', 'query{apiTokens{edges{node{id}}}}'),
  elsewhere('whose account it is', 'query{me{email}}'),
  elsewhere('all projects of the account', 'query{projects{edges{node{id}}}}'),
  elsewhere(
    'a deployment of production started anew',
    'mutation{deploymentRedeploy(id:"«webProductionDeployment»"){id}}',
  ),
  elsewhere(
    'a deployment of production removed',
    'mutation{deploymentRemove(id:"«webProductionDeployment»")}',
  ),
  elsewhere(
    'the logs of a deployment of production',
    'query{deploymentLogs(deploymentId:"«webProductionDeployment»"){message}}',
  ),
  elsewhere(
    'a service of production set to another command',
    'mutation{serviceInstanceUpdate(environmentId:"«production»",serviceId:"«web»",input:{startCommand:"true"})}',
  ),
  unknown(
    'a service set to another command everywhere',
    'mutation{serviceInstanceUpdate(serviceId:"«web»",input:{startCommand:"true"})}',
  ),
  elsewhere('a domain of production', 'mutation{customDomainDelete(id:"«customDomain»")}'),
  unknown('deployments of no environment', 'query{deployments(input:{}){edges{node{id}}}}'),
  unknown(
    'deployments of the whole project',
    'query{deployments(input:{projectId:"«shop»"}){edges{node{id}}}}',
  ),
  elsewhere(
    'what is staged in production, to read',
    'query{environmentStagedChanges(environmentId:"«production»"){id}}',
  ),
  elsewhere(
    'environments behind the project behind a redeployment',
    'mutation{deploymentRedeploy(id:"«webStagingDeployment»"){service{project{environments{edges{node{id}}}}}}}',
  ),
  elsewhere(
    'instances of all environments behind a service',
    'query{service(id:"«web»"){serviceInstances{edges{node{startCommand}}}}}',
  ),
  elsewhere(
    'instances of a volume elsewhere, behind its own',
    'query{volumeInstance(id:"«pgdataStaging»"){volume{volumeInstances{edges{node{state}}}}}}',
  ),
  elsewhere(
    'the configuration of every environment of the project',
    'query{project(id:"«shop»"){environments{edges{node{config(decryptVariables:false)}}}}}',
  ),
  elsewhere(
    'deployments of the whole service behind an alias',
    'query{service(id:"«web»"){name:deployments{edges{node{url}}}}}',
  ),
  elsewhere(
    'what leads out of a fragment',
    'query{service(id:"«web»"){...A}} fragment A on Service{project{...B}} fragment B on Project{volumes{edges{node{volumeInstances{edges{node{state}}}}}}}',
  ),
]
