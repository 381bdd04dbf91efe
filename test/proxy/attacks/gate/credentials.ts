import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import {
  API,
  type GateAttack,
  type HttpSending,
  head,
  JSON_TYPE,
  PHANTOM,
  PING,
  post,
  raw,
  WIPE,
  WIPE_BODY,
} from './attack.ts'

type Fields = HttpSending['headers']

const foreign = (
  name: string,
  changes: Partial<HttpSending>,
  body: string = WIPE_BODY,
): GateAttack => ({
  name,
  family: 'credentials',
  lease: 'wide',
  code: 'foreign_credential',
  send: post(body, changes),
})
const carried = (name: string, ...fields: Fields): GateAttack =>
  foreign(name, { headers: [JSON_TYPE, ...fields] })
const beside = (name: string, ...fields: Fields): GateAttack =>
  foreign(name, { headers: [JSON_TYPE, PHANTOM, ...fields] }, PING)
const inBody = (name: string, body: unknown): GateAttack =>
  foreign(name, {}, typeof body === 'string' ? body : JSON.stringify(body))

const FOUND = '«accountToken»'
const UP = '/project/«shop»/environment/«staging»/up'
const upload = (name: string, query: string): GateAttack =>
  foreign(name, { path: `${UP}?serviceId=«web»&message=${query}`, headers: [PHANTOM] }, 'tarball')
const upgrade = (code: DenialCode, name: string, fields: string): GateAttack => ({
  name,
  family: 'websocket',
  lease: 'wide',
  code,
  send: raw(
    `GET /graphql/v2 HTTP/1.1\r\nHost: ${API}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${fields}\r\n`,
  ),
})
const PROTOCOL = 'Sec-WebSocket-Protocol: graphql-transport-ws\r\n'

/** Keys that are not the task's, in every place that a key can stand in; and its own, in the wrong one. */
export const CREDENTIALS: readonly GateAttack[] = [
  carried('the account’s key, found in a file', ['authorization', `Bearer ${FOUND}`]),
  carried('the account’s key in small letters', ['authorization', `bearer ${FOUND}`]),
  carried('the account’s key in the other header', ['project-access-token', FOUND]),
  carried('the account’s key in Basic authentication', [
    'authorization',
    'Basic «accountToken:basic»',
  ]),
  carried('the account’s key in a cookie', ['cookie', `rw.session=${FOUND}`]),
  carried('the account’s key as an API key', ['x-api-key', FOUND]),
  carried('the account’s key in a header of one’s own', ['x-railway-token', FOUND]),
  carried('the key of production', ['project-access-token', '«productionCi»']),
  carried('the key of its own environment that is somebody else’s', [
    'project-access-token',
    '«stagingCi»',
  ]),
  carried('the key that was made for this lease', ['project-access-token', '«minted»']),
  carried('the key that was made for another lease', ['project-access-token', '«otherMinted»']),
  carried('the key that was made for another lease, as a bearer', [
    'authorization',
    'Bearer «otherMinted»',
  ]),
  foreign('the account’s key over HTTP/2', {
    kind: 'h2',
    headers: [JSON_TYPE, ['authorization', `Bearer ${FOUND}`]],
  }),
  foreign('the account’s key to the other host', {
    host: 'backboard.railway.app',
    headers: [JSON_TYPE, ['authorization', `Bearer ${FOUND}`]],
  }),
  foreign('the account’s key to the upstream’s own address', {
    host: '127.0.0.1:«port»',
    headers: [JSON_TYPE, ['authorization', `Bearer ${FOUND}`]],
  }),
  foreign(
    'the account’s key in an upload',
    {
      path: '/project/«shop»/environment/«production»/up',
      headers: [['authorization', `Bearer ${FOUND}`]],
    },
    'tarball',
  ),
  foreign(
    'the account’s key for a document that nobody may send',
    { headers: [['authorization', `Bearer ${FOUND}`]] },
    'not even JSON',
  ),
  beside('the account’s key beside the phantom', ['authorization', `Bearer ${FOUND}`]),
  beside('the account’s key in a cookie beside the phantom', ['cookie', `token=${FOUND}`]),
  beside('the account’s key as an API key beside the phantom', ['x-api-key', FOUND]),
  beside('the account’s key imitating the header', ['project_access_token', FOUND]),
  beside('the account’s key in a field nobody knows', ['x-note', `see ${FOUND}`]),
  beside('the account’s key as the name of a field', [FOUND, 'x']),
  beside('the account’s key in the name of the client', ['user-agent', `agent/1 (${FOUND})`]),
  beside('the account’s key in the referrer', ['referer', `https://railway.com/?token=${FOUND}`]),
  beside('the phantom in a cookie', ['cookie', 'a=«phantom»']),
  beside('the phantom in a field nobody knows', ['x-note', '«phantom»']),
  beside('the phantom as the name of a field', ['«phantom»', 'x']),
  beside('the lease’s own key in a field nobody knows', ['x-note', '«minted»']),
  foreign('the account’s key in the query', {
    path: `/graphql/v2?token=${FOUND}`,
    headers: [JSON_TYPE],
  }),
  foreign('the account’s key in the query beside the phantom', {
    path: `/graphql/v2?access_token=${FOUND}`,
  }),
  foreign('the account’s key in the query under any name', { path: `/graphql/v2?a=${FOUND}` }),
  foreign('the account’s key escaped in the query', {
    path: '/graphql/v2?a=«accountToken:percent»',
  }),
  foreign('the account’s key in the path', { path: `/graphql/v2/${FOUND}` }),
  foreign('the account’s key escaped in the path', { path: '/graphql/v2/«accountToken:percent»' }),
  foreign('the phantom in the query', {
    path: '/graphql/v2?token=«phantom»',
    headers: [JSON_TYPE],
  }),
  foreign('the phantom in the path', { path: '/graphql/«phantom»' }),
  upload('the account’s key in the message of an upload', FOUND),
  upload('the account’s key escaped in the message of an upload', '«accountToken:percent»'),
  upload('the account’s key behind an escape that is no text', '%ff«accountToken:percent»'),
  upload('the phantom in the message of an upload', '«phantom:percent»'),
  inBody('the account’s key in a variable', {
    query: 'query($a:String){__typename}',
    variables: { a: FOUND },
  }),
  inBody('the account’s key in a literal', {
    query: `mutation{variableUpsert(input:{projectId:"«shop»",environmentId:"«staging»",name:"A",value:"${FOUND}"})}`,
  }),
  inBody('the account’s key in unicode escapes of the document', {
    query:
      'mutation{variableUpsert(input:{projectId:"«shop»",environmentId:"«staging»",name:"A",value:"«accountToken:escaped»"})}',
  }),
  inBody(
    'the account’s key in unicode escapes of the JSON',
    '{"query":"mutation($v:String!){variableUpsert(input:{projectId:\\"«shop»\\",environmentId:\\"«staging»\\",name:\\"A\\",value:$v})}","variables":{"v":"«accountToken:escaped»"}}',
  ),
  inBody('the account’s key in a comment', { query: `{__typename}#${FOUND}` }),
  inBody('the account’s key as the name of a variable of the environment', {
    query:
      'mutation($v:EnvironmentVariables!){variableCollectionUpsert(input:{projectId:"«shop»",environmentId:"«staging»",variables:$v})}',
    variables: { v: { [FOUND]: 'x' } },
  }),
  inBody('the account’s key deep in a patch', {
    query:
      'mutation($p:EnvironmentConfig){environmentPatchCommit(environmentId:"«staging»",patch:$p)}',
    variables: { p: { services: { '«web»': { variables: { A: { value: FOUND } } } } } },
  }),
  inBody('the phantom in a variable', {
    query: 'mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}',
    variables: {
      i: { projectId: '«shop»', environmentId: '«staging»', name: 'A', value: 'x«phantom»x' },
    },
  }),
  inBody(
    'the phantom in unicode escapes of the JSON',
    '{"query":"mutation($v:String!){variableUpsert(input:{projectId:\\"«shop»\\",environmentId:\\"«staging»\\",name:\\"A\\",value:$v})}","variables":{"v":"«phantom:escaped»"}}',
  ),
  inBody('the lease’s own key in a variable', {
    query: 'query($a:String){__typename}',
    variables: { a: '«minted»' },
  }),
  {
    ...carried('the account’s key without TLS'),
    send: raw(
      `POST http://${API}/graphql/v2 HTTP/1.1\r\nHost: ${API}\r\nAuthorization: Bearer ${FOUND}\r\nContent-Length: «length»\r\n\r\n${WIPE_BODY}`,
      { via: 'proxy' },
    ),
  },
  {
    ...carried('the account’s key in a second request on the connection'),
    send: raw(
      `${head('Content-Length: «length»\r\n').replace('Project-Access-Token: «phantom»', `Authorization: Bearer ${FOUND}`)}${JSON.stringify({ query: WIPE })}`,
    ),
  },
  upgrade(
    'request_malformed',
    'a websocket of another protocol',
    'Sec-WebSocket-Protocol: graphql-ws\r\nProject-Access-Token: «phantom»\r\n',
  ),
  upgrade(
    'request_malformed',
    'a websocket with a choice of protocols',
    'Sec-WebSocket-Protocol: graphql-transport-ws, graphql-ws\r\nProject-Access-Token: «phantom»\r\n',
  ),
  upgrade(
    'foreign_credential',
    'a websocket with the account’s key beside the phantom',
    `${PROTOCOL}Project-Access-Token: «phantom»\r\nAuthorization: Bearer ${FOUND}\r\n`,
  ),
  upgrade(
    'foreign_credential',
    'a websocket with the account’s key',
    `${PROTOCOL}Authorization: Bearer ${FOUND}\r\n`,
  ),
  upgrade(
    'credential_missing',
    'a websocket that would bring its key along in a message',
    PROTOCOL,
  ),
]
