import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import type { LeaseKind } from './attack.ts'

/** What a task says over a websocket that it was allowed to open; the last message is the attack. */
export interface MessageAttack {
  readonly name: string
  readonly code: DenialCode
  readonly lease: LeaseKind
  readonly messages: readonly string[]
  /** `error`: an answer to the message. `close`: there is no id to answer to. */
  readonly ends: 'error' | 'close'
}

const subscribe = (query: string, variables?: object) =>
  JSON.stringify({
    id: 'a',
    type: 'subscribe',
    payload: { query, ...(variables && { variables }) },
  })

const refused = (
  code: DenialCode,
  name: string,
  query: string,
  variables?: object,
): MessageAttack => ({
  name,
  code,
  lease: 'wide',
  messages: [subscribe(query, variables)],
  ends: 'error',
})
const closed = (code: DenialCode, name: string, ...messages: readonly string[]): MessageAttack => ({
  name,
  code,
  lease: 'wide',
  messages,
  ends: 'close',
})

const LOGS = 'subscription{deploymentLogs(deploymentId:"«webStagingDeployment»"){message}}'

export const MESSAGE_ATTACKS: readonly MessageAttack[] = [
  refused(
    'operation_denied',
    'its own volume, which could move until it is gone',
    'mutation{volumeDelete(volumeId:"«cache»")}',
  ),
  refused(
    'operation_denied',
    'the volume that production shares',
    'mutation{volumeDelete(volumeId:"«pgdata»")}',
  ),
  refused(
    'environment_mismatch',
    'a variable of production',
    'mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}',
    { i: { projectId: '«shop»', environmentId: '«production»', name: 'A', value: 'b' } },
  ),
  refused('environment_mismatch', 'production itself', 'query{environment(id:"«production»"){id}}'),
  refused(
    'environment_mismatch',
    'the logs of a deployment of production',
    'subscription{deploymentLogs(deploymentId:"«webProductionDeployment»"){message}}',
  ),
  refused(
    'environment_mismatch',
    'what leads out below a subscription',
    'subscription{deployment(id:"«webStagingDeployment»"){service{project{environments{edges{node{id}}}}}}}',
  ),
  refused(
    'operation_denied',
    'deployments of the whole project',
    'query{deployments(input:{projectId:"«shop»"}){edges{node{id}}}}',
  ),
  refused(
    'operation_denied',
    'a service in every environment',
    'mutation{serviceDelete(id:"«web»")}',
  ),
  refused(
    'operation_denied',
    'what somebody staged',
    'mutation{environmentPatchCommitStaged(environmentId:"«staging»")}',
  ),
  refused('operation_denied', 'whose token it is', '{projectToken{project{id}}}'),
  refused(
    'operation_denied',
    'a mutation that nobody knows',
    'mutation{volumeDestroy(volumeId:"«pgdata»")}',
  ),
  refused(
    'request_malformed',
    'two subscriptions at once',
    `subscription{a:deploymentLogs(deploymentId:"«webStagingDeployment»"){message} b:deploymentLogs(deploymentId:"«webStagingDeployment»"){message}}`,
  ),
  refused('foreign_credential', 'the account’s key in a variable', 'query($a:String){__typename}', {
    a: '«accountToken»',
  }),
  refused('foreign_credential', 'the phantom in a variable', 'query($a:String){__typename}', {
    a: '«phantom»',
  }),
  {
    ...refused(
      'operation_denied',
      'its own variables where none may be read',
      'query{variables(projectId:"«shop»",environmentId:"«staging»")}',
    ),
    lease: 'narrow',
  },
  {
    ...refused(
      'operation_denied',
      'a change where only a restart is allowed',
      'mutation{variableUpsert(input:{projectId:"«shop»",environmentId:"«staging»",name:"A",value:"b"})}',
    ),
    lease: 'narrow',
  },
  {
    ...refused(
      'operation_denied',
      'what a person has to approve',
      'mutation{serviceInstanceRedeploy(environmentId:"«staging»",serviceId:"«web»")}',
    ),
    lease: 'narrow',
  },
  {
    ...refused('operation_denied', 'its own volume after a subscription that is fine', ''),
    messages: [
      subscribe(LOGS),
      subscribe('mutation{volumeDelete(volumeId:"«cache»")}').replace('"a"', '"b"'),
    ],
  },
  closed(
    'foreign_credential',
    'the account’s key in the greeting',
    '{"type":"connection_init","payload":{"Authorization":"Bearer «accountToken»"}}',
  ),
  closed(
    'foreign_credential',
    'the account’s key escaped in a ping',
    '{"type":"ping","payload":{"a":"«accountToken»"}}',
  ),
  closed(
    'request_malformed',
    'a batch',
    `[${subscribe(LOGS)},${subscribe('mutation{volumeDelete(volumeId:"«pgdata»")}')}]`,
  ),
  closed(
    'request_malformed',
    'a type of the older protocol',
    '{"id":"a","type":"start","payload":{"query":"{__typename}"}}',
  ),
  closed(
    'request_malformed',
    'a type twice',
    '{"id":"a","type":"ping","type":"subscribe","payload":{"query":"mutation{volumeDelete(volumeId:\\"«pgdata»\\")}"}}',
  ),
  closed(
    'request_malformed',
    'a member that nobody knows',
    '{"id":"a","type":"subscribe","query":"mutation{x}","payload":{"query":"{__typename}"}}'.replace(
      '"id":"a",',
      '',
    ),
  ),
  closed(
    'request_malformed',
    'something that is no JSON',
    'mutation{volumeDelete(volumeId:"«pgdata»")}',
  ),
  closed(
    'request_too_large',
    'a message of brackets',
    `{"type":"ping","payload":${'['.repeat(200)}${']'.repeat(200)}}`,
  ),
]
